"""The table of methods: every entry is what its name says, and what is chosen from it."""

import pytest

from trase_ns.bench.methods import DEFAULT, METHODS, chosen, needs_maps
from trase_ns.errors import UserError
from trase_ns.learning.methods.options import CgcOptions, ClickOptions, DgdOptions, TraseOptions, UpliftOptions


def test_the_five_methods_and_the_two_ablations_are_compared_by_default():
    assert chosen(None) == DEFAULT
    kinds = [type(METHODS[name].options) for name in DEFAULT]
    assert set(kinds) == {TraseOptions, CgcOptions, ClickOptions, DgdOptions, UpliftOptions}
    mining = {name: METHODS[name].options.mining for name in DEFAULT if isinstance(METHODS[name].options, TraseOptions)}
    assert mining == {"trase": None, "trase-soft": "soft", "trase-hard": "hard", "trase-no-mining": "none"}


def test_ablations_differ_in_nothing_else():
    recipes = [METHODS[name] for name in ("trase-soft", "trase-hard", "trase-no-mining")]
    assert len({(entry.objects, entry.similarity) for entry in recipes}) == 1
    assert recipes[0].objects == "hdbscan"  # objects of masks would be the same with any features


def test_names_are_taken_in_the_order_asked_for():
    assert chosen(["trase-cgc", "trase"]) == ("trase-cgc", "trase")
    assert [name for name in METHODS if needs_maps(name)] == ["trase-dgd"]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["trase", "trace"], "no method is called 'trace': choose from trase, trase-soft"),
        (["trase", "trase-cgc", "trase"], "trase is there twice"),
        ([], "name at least one method"),
    ],
)
def test_what_cannot_be_chosen(names, message):
    with pytest.raises(UserError, match=message):
        chosen(names)
