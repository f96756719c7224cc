"""Options of the methods on this machine, with their input; what is measured of them."""

import pytest
import torch

from trase_ns.bench.evaluation import _state_bytes, with_inputs
from trase_ns.bench.geometry import median_seconds
from trase_ns.bench.methods import METHODS, needs_maps
from trase_ns.errors import UserError
from trase_ns.plugin.preset import method_options
from trase_ns.segmentation.objects import Segmentation


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


def test_a_step_is_repeated_as_often_as_asked_for_after_one_that_warms_up():
    done = []
    assert median_seconds(done.append, least=5, seconds=0) >= 0
    assert done == [0, 1, 2, 3, 4, 5]


def test_bytes_of_objects_are_those_of_what_is_saved():
    objects = Segmentation.from_members([torch.arange(8) < 3, torch.arange(8) >= 3], 8, features=None)
    # 3 row pointers, 8 members, 8 labels and 2 parents of 8 bytes, 2 supports of 4
    assert _state_bytes(objects) == 8 * (3 + 8 + 8 + 2) + 4 * 2
