import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from trase_ns.errors import UserError
from trase_ns.scene.gaussians import DynamicGaussians
from trase_ns.segmentation.find import find_objects


def scene(features: torch.Tensor) -> DynamicGaussians:
    n = len(features)
    zeros = torch.zeros
    return DynamicGaussians(
        torch.rand(n, 3), torch.rand(n, 4), zeros(n, 3), zeros(n), zeros(n, 3), zeros(n, 0, 3), features
    )


@pytest.fixture
def trained(tabletop):
    """The tabletop with features of its three objects, where the book's border has the cup's."""
    for _ in range(24):
        tabletop.add("arm", "hand", "book", "cup", ragged=0.02)
    features = torch.zeros(400, 4)
    for i, name in enumerate(("arm", "book", "cup")):
        features[tabletop.objects[name], i] = 1
    features[280:, 3] = 1
    features[100:110] = features[220]
    return scene(features + 0.05 * torch.randn(400, 4, generator=torch.Generator().manual_seed(0)))


def members(segmentation, wanted):
    """The object most like `wanted`, as a list of Gaussians."""
    sets = [set(np.flatnonzero(segmentation.members(i).numpy())) for i in range(len(segmentation))]
    return max(sets, key=lambda s: len(s & set(wanted)) / len(s | set(wanted)))


def test_masks_need_no_features(tabletop):
    for _ in range(12):
        tabletop.add("arm", "hand", "book", "cup")
    segmentation = find_objects(scene(torch.zeros(400, 4)), tabletop.weights())
    assert segmentation.sizes.tolist() == [120, 100, 60, 40]
    assert segmentation.parents.tolist() == [-1, -1, -1, 1]
    assert segmentation.centres is None
    assert segmentation.labels[280:].tolist() == [-1] * 120
    assert json.loads(json.dumps(segmentation.summary)) == segmentation.summary
    assert segmentation.summary["method"] == "masks"
    assert segmentation.summary["objects"] == 4
    assert segmentation.summary["masks"] == 48


def test_mask_features_find_and_refine(tabletop, trained):
    segmentation = find_objects(trained, tabletop.weights(), "mask-features")
    book = tabletop.objects["book"]
    assert members(segmentation, book) == set(book)
    rough = find_objects(trained, tabletop.weights(), "mask-features", refined=False)
    assert set(book[10:]) <= members(rough, book)
    assert not set(book[:10]) & members(rough, book)
    assert segmentation.centres is not None
    assert segmentation.centres.shape == (len(segmentation), 4)


@pytest.mark.parametrize("method", ["hdbscan", "dbscan"])
def test_the_papers_ways_need_no_masks(tabletop, trained, method):
    segmentation = find_objects(trained, method=method)
    arm = tabletop.objects["arm"]
    assert members(segmentation, arm) == set(arm)
    assert (segmentation.labels >= 0).all()
    assert (segmentation.summary["sample"], segmentation.summary["second_sample"]) == (400, 0)
    refined = find_objects(trained, tabletop.weights(), method, refined=True)
    book = tabletop.objects["book"]
    assert members(refined, book) == set(book)


@pytest.mark.parametrize("method", ["masks", "mask-features", "hdbscan"])
def test_the_same_input_gives_the_same_objects(tabletop, trained, method):
    first, second = (find_objects(trained, tabletop.weights(), method, seed=1) for _ in range(2))
    assert torch.equal(first.indices, second.indices)
    assert torch.equal(first.labels, second.labels)


def test_options_reach_the_method_and_the_summary(tabletop, trained):
    segmentation = find_objects(trained, tabletop.weights(), min_frames=30, cuts=(0.5, 0.7))
    assert len(segmentation) == 0
    assert segmentation.summary["min_frames"] == 30
    assert segmentation.summary["cuts"] == [0.5, 0.7]


def test_wrong_requests_are_explained(tabletop, trained):
    with pytest.raises(UserError, match="kmeans.*masks"):
        find_objects(trained, method="kmeans")  # type: ignore[arg-type]
    with pytest.raises(UserError, match="trase masks"):
        find_objects(trained, None, "masks")
    with pytest.raises(UserError, match="trase masks"):
        find_objects(trained, None, "hdbscan", refined=True)
    with pytest.raises(UserError, match="no trained features"):
        find_objects(scene(torch.zeros(400, 4)), tabletop.weights(), "mask-features")


MILLION = """
import torch
from pathlib import Path
from sklearn.metrics import adjusted_rand_score
from torch.nn.functional import normalize
from trase_ns.scene.gaussians import DynamicGaussians
from trase_ns.segmentation.find import find_objects

def megabytes(name):
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith(name)) / 1024

n = 1_000_000
torch.manual_seed(0)
centres, truth = normalize(torch.randn(51, 32), dim=1), torch.randint(0, 50, (n,))
truth[torch.randperm(n)[:1000]] = 50
features = torch.empty(n, 32)
for rows in torch.arange(n).split(50_000):
    features[rows] = centres[truth[rows]] + 0.05 * torch.randn(len(rows), 32)
zeros = torch.zeros
scene = DynamicGaussians(zeros(n, 3), zeros(n, 4), zeros(n, 3), zeros(n), zeros(n, 3), zeros(n, 0, 3), features)
Path("/proc/self/clear_refs").write_text("5")  # forget the peak until now
before = megabytes("VmRSS")
found = find_objects(scene, method="hdbscan")
print(megabytes("VmHWM") - before, adjusted_rand_score(truth, found.labels), len(found), int(found.sizes.min()))
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="memory is read from /proc")
def test_a_million_gaussians_need_less_than_a_gigabyte():
    done = subprocess.run([sys.executable, "-c", MILLION], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    megabytes, index, objects, smallest = map(float, done.stdout.split())
    assert megabytes < 1000
    assert index > 0.999
    assert (objects, smallest) == (51, 1000)
