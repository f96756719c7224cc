"""Options of the methods on this machine, with their input."""

import pytest

from trase_ns.bench.evaluation import with_inputs
from trase_ns.bench.methods import METHODS, needs_maps
from trase_ns.errors import UserError
from trase_ns.plugin.preset import method_options


def test_methods_run_as_trase_features_runs_them_on_this_machine(tmp_path):
    assert with_inputs("trase-cgc", None, None) == method_options("cgc")
    assert with_inputs("trase-click", None, None) == method_options("click")
    assert with_inputs("trase-dgd", None, str(tmp_path)).steps == method_options("dgd").steps
    assert with_inputs("trase-hard", None, None).mining == "hard"
    assert with_inputs("trase-uplift", 7, None) == method_options("uplift")  # it has no steps


@pytest.mark.parametrize("method", [name for name in METHODS if name != "trase-uplift"])
def test_fewer_steps_for_all_that_train(method, tmp_path):
    own, fewer = (with_inputs(method, steps, str(tmp_path)) for steps in (None, 7))
    assert fewer.steps == 7
    assert fewer != own


def test_maps_are_for_the_method_that_needs_them(tmp_path):
    assert with_inputs("trase-dgd", None, str(tmp_path)).maps == tmp_path
    with pytest.raises(UserError, match="needs feature maps. Name their folder with --dgd-maps"):
        with_inputs("trase-dgd", None, None)
    assert [name for name in METHODS if needs_maps(name)] == ["trase-dgd"]
