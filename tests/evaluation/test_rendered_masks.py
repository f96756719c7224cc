"""Masks of any view at any time: what scoring calls the mask, in files that others read."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from trase_ns.errors import UserError
from trase_ns.evaluation.rendered_masks import (
    label_colors,
    label_image,
    object_masks,
    selection_mask,
    write_coco_masks,
    write_label_images,
)
from trase_ns.segmentation.clicks import render_selection
from trase_ns.segmentation.objects import Segmentation

FRONT, BACK = 0, 1  # objects of the run: the second slides by behind the first


@pytest.fixture
def wide(straight_camera):
    return straight_camera.at(0.25)


def members(run, *indices):
    return torch.stack([run.segmentation.members(i) for i in indices]).any(dim=0)


@pytest.mark.parametrize("time", [0.0, 0.25, 0.5])
def test_a_mask_is_what_scoring_says(run, straight_camera, time):
    camera = straight_camera.at(time)
    for index in (FRONT, BACK):
        mask = members(run, index)
        ours = selection_mask(run.scene.at(time), mask, camera)
        np.testing.assert_array_equal(ours, (render_selection(run.scene, mask, camera) >= 0.5).numpy())
    assert ours.any() == (time != 0.5)  # then it is hidden


def test_labels_are_the_objects_that_pixels_show(run, wide):
    gaussians = run.scene.at(wide.time)
    labels = label_image(gaussians, run.segmentation, wide).numpy()
    assert set(np.unique(labels)) == {-1, FRONT, BACK}
    for index in (FRONT, BACK):
        mask = selection_mask(gaussians, members(run, index), wide)
        assert (labels[mask] == index).all()
        assert (labels == index).sum() < 1.3 * mask.sum()
    assert labels[0, 0] == -1
    assert labels[36, 48] == FRONT  # it hides a part of the other


def test_many_objects_are_rendered_in_several_passes(run, wide):
    """80 objects: slices of the two, so that every pass has some."""
    number = torch.arange(600) // 2 % 40 + 40 * members(run, BACK)
    many = Segmentation.from_members([number == i for i in range(80)], 600)
    gaussians = run.scene.at(wide.time)
    labels = label_image(gaussians, many, wide)
    shares = torch.stack([render_selection(run.scene, many.members(i), wide) for i in range(80)], dim=-1)
    none = 1 - shares.sum(dim=-1)
    expected = torch.where(shares.amax(-1) > none, shares.argmax(-1), -1)
    assert (labels == expected).float().mean() > 0.999  # but for ties
    yielded = list(object_masks(gaussians, many, wide))
    found = dict(yielded)
    assert len(found) == len(yielded)
    for i in range(80):
        mask = (shares[..., i] >= 0.5).numpy()
        assert (i in found) == mask.any()
        if i in found:
            np.testing.assert_array_equal(found[i], mask)
    assert len(found) > 3


def test_what_is_in_no_object_has_no_label(run, wide):
    only_back = Segmentation.from_members([members(run, BACK)], 600)
    labels = label_image(run.scene.at(wide.time), only_back, wide).numpy()
    assert labels[36, 48] == -1
    assert (labels == 0).any()


def test_colours_of_labels(run, wide):
    colors = label_colors(run.scene.at(wide.time), run.segmentation, wide)
    expected = (run.segmentation.palette[FRONT] * 255).round().byte().tolist()
    assert colors.dtype == np.uint8
    assert colors[36, 48].tolist() == expected
    assert colors[0, 0].tolist() == [0, 0, 0]


def test_label_images_are_read_back(run, straight_camera, tmp_path):
    cameras = [straight_camera.at(time) for time in (0.0, 0.25)]
    write_label_images(run.scene, run.segmentation, cameras, ["a", "cam/b"], tmp_path / "out", ["red", "blue"])
    for camera, name in zip(cameras, ["a", "cam/b"]):
        picture = Image.open(tmp_path / "out" / "labels" / f"{name}.png")
        assert picture.mode.startswith("I;16")
        labels = np.asarray(picture).astype(int) - 1
        expected = label_image(run.scene.at(camera.time), run.segmentation, camera).numpy()
        np.testing.assert_array_equal(labels, expected)
        colors = np.asarray(Image.open(tmp_path / "out" / "colors" / f"{name}.png"))
        palette = (run.segmentation.palette * 255).round().byte().numpy()
        np.testing.assert_array_equal(
            colors[labels == BACK], np.broadcast_to(palette[BACK], colors[labels == BACK].shape)
        )
    objects = json.loads((tmp_path / "out" / "objects.json").read_text())["objects"]
    assert [(entry["value"], entry["name"], entry["part_of"]) for entry in objects] == [
        (1, "red", None),
        (2, "blue", None),
    ]
    assert objects[BACK]["color"] == palette[BACK].tolist()


def test_label_images_are_masks_that_can_be_imported(run, straight_camera, tmp_path):
    from trase_ns.masks.imports import find_imports, read_masks

    frames = [run.frame("image1")]
    write_label_images(run.scene, run.segmentation, [straight_camera.at(0.25)], [frames[0].name], tmp_path / "out")
    files = find_imports(tmp_path / "out" / "labels", frames)
    masks = read_masks("image1", files["image1"])
    labels = label_image(run.scene.at(0.25), run.segmentation, straight_camera.at(0.25)).numpy()
    assert sorted(masks.areas) == sorted([(labels == FRONT).sum(), (labels == BACK).sum()])


def test_label_images_replace_nothing_unless_asked(run, straight_camera, tmp_path):
    arguments = run.scene, run.segmentation, [straight_camera]
    write_label_images(run.scene, run.segmentation, [straight_camera] * 2, ["frame0001", "frame0002"], tmp_path / "out")
    with pytest.raises(UserError, match="--overwrite"):
        write_label_images(*arguments, ["frame0001"], tmp_path / "out")
    write_label_images(*arguments, ["frame0001"], tmp_path / "out", overwrite=True)
    assert [path.name for path in (tmp_path / "out" / "labels").iterdir()] == ["frame0001.png"]


def test_coco_masks_of_a_selection_and_of_objects_that_nest(run, straight_camera, tmp_path):
    from pycocotools.coco import COCO

    cameras = [straight_camera.at(time) for time in (0.25, 0.5)]
    names = ["a", "b"]
    back = members(run, BACK)
    assert write_coco_masks(run.scene, back, cameras, names, tmp_path / "one.json") == 1  # at 0.5 it is hidden
    data = COCO(str(tmp_path / "one.json"))
    assert data.dataset["categories"][0]["name"] == "selection"
    np.testing.assert_array_equal(
        data.annToMask(data.dataset["annotations"][0]), selection_mask(run.scene.at(0.25), back, cameras[0])
    )
    left = members(run, FRONT) & (run.scene.means[:, 0] < 0)
    nested = Segmentation.from_members([members(run, FRONT), back, left], 600)
    assert write_coco_masks(run.scene, nested, cameras, names, tmp_path / "all.json", ["A", "B", "C"]) == 5
    data = COCO(str(tmp_path / "all.json"))
    assert [c["name"] for c in data.dataset["categories"]] == ["A", "B", "C"]
    by_category = {a["category_id"]: data.annToMask(a) for a in data.loadAnns(data.getAnnIds(imgIds=[1]))}
    part, whole = (by_category[1 + i].astype(bool) for i in (2, int(nested.parents[2])))
    assert (part & whole).sum() == part.sum() < whole.sum()
    assert [image["file_name"] for image in data.dataset["images"]] == ["a.png", "b.png"]


def test_a_hidden_gaussian_is_in_no_mask(run, wide):
    hidden = replace(run.scene, logit_opacities=run.scene.logit_opacities.masked_fill(members(run, FRONT), -torch.inf))
    labels = label_image(hidden.at(wide.time), run.segmentation, wide).numpy()
    assert set(np.unique(labels)) == {-1, BACK}
