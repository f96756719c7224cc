"""Results made by hand: two scenes, three methods, one of which fails on one scene; folders that look like scenes."""

import json

import numpy as np
import pytest
from PIL import Image


def entry(ious, **costs):
    objects = [
        {
            "name": name,
            "iou": iou,
            "accuracy": 0.9 + iou / 20,
            "boundary_iou": iou / 2,
            "flicker": 0.1,
            "floaters": None if name == "lid" else 0.25,
            "gaussians": 1200,
            "frames": [{"frame": "test_0000", "iou": iou, "picture": f"pictures/{name}/test_0000.png"}],
        }
        for name, iou in ious.items()
    ]
    mean = sum(ious.values()) / len(ious)
    scores = {"miou": mean, "macc": 0.9 + mean / 20, "mbiou": mean / 2, "flicker": 0.1, "floaters": 0.25}
    spent = {"features_seconds": 10.0, "objects_seconds": 2.0, "evaluation_seconds": 1.0}
    spent |= {"features_bytes": 2_000_000, "click_ms": 8.0, **costs}
    return {"error": None, **scores, "objects": objects, "costs": spent, "memory_mb": 900.0, "seconds": 15.0}


def scene(name, about, methods):
    pictures = {"error": None, "psnr": 31.256, "ssim": 0.95123, "lpips": None, "gaussians": 12345}
    pictures |= {"geometry_bytes": 3_456_789, "steps_seconds": 61.2, "fps_camera": 55.55, "fps_time": 9.94}
    geometry = {"error": None, "memory_mb": 1500.2, "seconds": 70.0}
    return {"name": name, "about": about, "geometry": geometry, "pictures": pictures, "methods": methods}


@pytest.fixture
def results():
    scenes = [
        scene(
            "box_1",
            "one & all",
            {
                "trase": entry({"box": 0.9, "lid": 0.8}),
                "trase-cgc": entry({"box": 0.7, "lid": 0.82}, features_seconds=1.0),
                "trase-dgd": {"error": "not run: it needs maps. Name them."},
            },
        ),
        scene(
            "ball",
            "",
            {
                "trase": entry({"ball": 0.95}, click_ms=4.0),
                "trase-cgc": entry({"ball": 0.97}),
                "trase-dgd": entry({"ball": 0.1}),
            },
        ),
    ]
    from trase_ns.bench.plan import means_of

    names = {"trase": "the default", "trase-cgc": "CGC", "trase-dgd": "DGD"}
    means = {name: means_of([s["methods"][name] for s in scenes]) for name in names}
    return {"machine": "a machine", "seed": 3, "methods": names, "scenes": scenes, "means": means}


def write_truth(folder):
    prompts = [{"frame": "0001", "x": 0.5, "y": 0.5}]
    (folder / "box").mkdir(parents=True)
    Image.fromarray(np.eye(4, dtype=bool)).save(folder / "box" / "0001.png")
    document = {"version": 1, "objects": [{"name": "box", "masks": "box", "prompts": prompts}]}
    (folder / "benchmark.json").write_text(json.dumps(document))


@pytest.fixture
def truth():
    """Return what writes a benchmark of one object and one mask into a folder."""
    return write_truth


@pytest.fixture
def data_set():
    """Return what makes a folder that looks like a data set, with a benchmark unless told otherwise."""

    def make(folder, benchmark=True):
        folder.mkdir(parents=True)
        (folder / "transforms.json").write_text("{}")
        if benchmark:
            write_truth(folder / "benchmark")
        return folder

    return make
