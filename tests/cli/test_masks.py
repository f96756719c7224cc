import json
import shutil

import numpy as np
import pytest
from PIL import Image

from trase_ns.cli import main
from trase_ns.masks import MaskStore, open_masks

NAMES = ["image000001", "image000002", "image000003"]


@pytest.fixture
def data(assets, tmp_path):
    """Three frames of the real video, without times."""
    content = json.loads((assets / "hand_books" / "transforms.json").read_text())
    content["frames"] = content["frames"][:3]
    (tmp_path / "images").mkdir()
    for frame in content["frames"]:
        del frame["time"]
        shutil.copy(assets / "hand_books" / frame["file_path"], tmp_path / frame["file_path"])
    shutil.copy(assets / "hand_books" / "sparse_pc.ply", tmp_path)
    (tmp_path / "transforms.json").write_text(json.dumps(content))
    return tmp_path


def test_import_and_export_round_trip(assets, data, capsys):
    original = assets / "hand_books" / "masks"
    main(["masks", "--data", str(data), "--import-from", str(original)])
    output = capsys.readouterr().out
    number = sum(len(json.loads((original / f"{name}.json").read_text())) for name in NAMES)
    assert f"3 frames with {number} masks ({number / 3:.1f} a frame) in {data / 'masks'}" in output
    assert (data / "masks" / "preview.jpg").stat().st_size > 10_000
    main(["masks", "--data", str(data), "--export-coco", str(data / "coco")])
    assert f"wrote the masks of 3 frames to {data / 'coco'}" in capsys.readouterr().out
    for name in NAMES:
        ours, theirs = (json.loads((folder / f"{name}.json").read_text()) for folder in (data / "coco", original))
        assert [record["segmentation"] for record in ours] == [record["segmentation"] for record in theirs]
        assert [record["area"] for record in ours] == [record["area"] for record in theirs]


def test_frames_without_masks_are_named(assets, data, capsys):
    mine = data / "mine"
    mine.mkdir()
    shutil.copy(assets / "hand_books" / "masks" / "image000002.json", mine)
    main(["masks", "--data", str(data), "--import-from", str(mine)])
    captured = capsys.readouterr()
    assert "1 frames with" in captured.out
    assert "2 of 3 frames have no masks: image000001, image000003" in " ".join(captured.err.split())


@pytest.mark.slow
def test_makes_masks_with_mobile_sam_once(assets, data, capsys):
    command = ["masks", "--data", str(data), "--checkpoint", str(assets / "mobile_sam.pt"), "--device", "cpu"]
    command += ["--points-per-side", "2", "--image-scale", "0.5", "--frames", "image000001", "image000003.png"]
    main(command)
    assert "mobile on cpu, 2 points a side, 2 frames" in capsys.readouterr().out
    store = MaskStore(data / "masks")
    assert store.frames() == ["image000001", "image000003"]
    masks = open_masks(data / "masks", NAMES).load("image000003", image_size=(512, 384))
    assert (masks.width, masks.height) == (256, 192)
    assert len(masks) > 0
    assert (masks.scores >= 0.88).all()
    main(command)
    assert "2 of 2 frames are done already" in capsys.readouterr().out
    Image.fromarray(np.zeros((384, 512, 3), np.uint8)).save(data / "images" / "image000003.png")
    main(command)
    output = capsys.readouterr().out
    assert "1 of 2 frames are done already" in output
    assert "2 points a side, 1 frames" in output
