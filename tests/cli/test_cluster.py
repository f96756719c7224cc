from pathlib import Path

import pytest

from trase_ns.cli.cluster import main
from trase_ns.errors import UserError


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cuts": (0.5, 1.5)}, "--cuts 1.5: use numbers between 0 and 1"),
        ({"min_frames": 0}, "--min-frames 0: use a number above 0"),
        ({"method": "hdbscan", "min_cluster_size": 0}, "--min-cluster-size 0: use a number above 0"),
        ({"method": "dbscan", "epsilon": -0.1}, "--epsilon -0.1: use a number above 0"),
        ({"method": "hdbscan", "cuts": (0.5,)}, "--cuts is no option of --method hdbscan, but of masks"),
        ({"min_cluster_size": 10}, "--min-cluster-size is no option of --method masks"),
    ],
)
def test_wrong_options_are_named_before_anything_is_loaded(options, message):
    with pytest.raises(UserError, match=message):
        main(Path("no-such-run/config.yml"), **options)


def test_a_missing_run_is_named():
    with pytest.raises(UserError, match="no-such-run"):
        main(Path("no-such-run/config.yml"))


@pytest.mark.slow
def test_objects_are_found_anew_and_saved(tiny_run, command):
    from trase_ns.plugin.run import load_run

    printed = command("trase", "cluster", "--load-config", tiny_run, "--method", "hdbscan").stdout
    run = load_run(tiny_run)
    assert run.segmentation is not None
    assert run.segmentation.summary["method"] == "hdbscan"
    assert f"{len(run.segmentation)} objects" in printed

    command("trase", "cluster", "--load-config", tiny_run, "--min-frames", 3)
    few = load_run(tiny_run).segmentation
    assert few is not None
    assert few.summary["method"] == "masks"
    assert few.summary["min_frames"] == 3
    assert few.gaussians == len(run.scene)

    command("trase", "cluster", "--load-config", tiny_run)
    default = load_run(tiny_run).segmentation
    assert default is not None
    assert "min_frames" not in default.summary
