"""Hostile and broken input to `trase masks`: exit status 1 and one line that names the file or frame."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from trase_ns.cli import main
from trase_ns.masks import MaskSet, MaskStore
from trase_ns.masks.weights import WEIGHTS, Weights


@pytest.fixture
def data(tmp_path):
    rng = np.random.default_rng(0)
    root = tmp_path / "data"
    (root / "images").mkdir(parents=True)
    frames = []
    for index in range(3):
        name = f"images/{index:03d}.png"
        Image.fromarray(rng.integers(0, 256, (24, 32, 3), dtype=np.uint8)).save(root / name)
        frames.append({"file_path": name, "time": index / 2, "transform_matrix": np.eye(4).tolist()})
    (root / "transforms.json").write_text(json.dumps({"fl_x": 30, "frames": frames}))
    return root


@pytest.fixture
def fails(capsys):
    """Run `trase masks`; returns its one line on standard error."""

    def run(*arguments):
        with pytest.raises(SystemExit) as caught:
            main(["masks", *map(str, arguments)])
        assert caught.value.code == 1
        message = capsys.readouterr().err.strip()
        assert message.startswith("error: ")
        assert "\n" not in message
        assert "Traceback" not in message
        return message

    return run


def test_no_data_set(fails, tmp_path):
    assert "nowhere does not exist" in fails("--data", tmp_path / "nowhere")
    assert "has no transforms.json" in fails("--data", tmp_path)


def test_unknown_frame(fails, data):
    assert "no frame is called 'x'" in fails("--data", data, "--frames", "x")


@pytest.mark.parametrize("content", [b"", b"no image", "half"])
def test_broken_image(fails, data, assets, content):
    path = data / "images" / "000.png"
    path.write_bytes(path.read_bytes()[:1000] if content == "half" else content)
    message = fails("--data", data, "--checkpoint", assets / "mobile_sam.pt", "--device", "cpu")
    assert str(path) in message
    assert "cannot be read" in message
    assert not list((data / "masks").rglob("*.npz"))


def test_missing_image(fails, data):
    (data / "images" / "001.png").unlink()
    assert "frame images/001.png: its image" in fails("--data", data)


def test_no_weights_and_no_network(fails, data, tmp_path, monkeypatch):
    monkeypatch.setenv("TRASE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setitem(WEIGHTS, "mobile", Weights("http://127.0.0.1:9/mobile_sam.pt", "0" * 64))
    message = fails("--data", data, "--sam", "mobile", "--device", "cpu")
    assert "cannot download mobile_sam.pt from http://127.0.0.1:9/mobile_sam.pt" in message
    assert "--checkpoint FILE" in message


def test_wrong_weights(fails, data, tmp_path, assets):
    missing = fails("--data", data, "--checkpoint", tmp_path / "x.pt")
    assert "x.pt do not exist" in missing
    (tmp_path / "x.pt").write_bytes((assets / "mobile_sam.pt").read_bytes()[:-100])
    assert "damaged" in fails("--data", data, "--sam", "mobile", "--checkpoint", tmp_path / "x.pt")
    torch.save({"weight": torch.zeros(3)}, tmp_path / "x.pt")
    assert "of no SAM model" in fails("--data", data, "--checkpoint", tmp_path / "x.pt")
    other = fails("--data", data, "--sam", "vit_b", "--checkpoint", assets / "mobile_sam.pt")
    assert "not those of vit_b, but those of mobile: pass --sam mobile" in other


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_no_gpu(fails, data):
    assert "--device cuda: PyTorch finds no GPU" in fails("--data", data, "--device", "cuda")


@pytest.mark.parametrize("option", ["--points-per-side=0", "--pred-iou-thresh=2", "--image-scale=0"])
def test_bad_option(fails, data, option):
    assert option.split("=")[0] in fails("--data", data, option)


def test_output_in_the_way(fails, data, assets):
    (data / "masks").write_text("a file")
    message = fails("--data", data, "--checkpoint", assets / "mobile_sam.pt", "--device", "cpu")
    assert f"cannot write masks to {data / 'masks'}" in message
    assert "--output" in message


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write everywhere")
def test_read_only_output(fails, data, assets):
    data.chmod(0o500)
    message = fails("--data", data, "--checkpoint", assets / "mobile_sam.pt", "--device", "cpu")
    data.chmod(0o700)
    assert f"cannot write masks to {data / 'masks'}" in message


FULL = """
import resource, signal, sys
import numpy as np
from trase_ns.errors import UserError
from trase_ns.masks import MaskSet, MaskStore
store = MaskStore(sys.argv[1])
masks = MaskSet.from_dense("a", np.random.default_rng(0).random((20, 200, 200)) < 0.5)
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))
try:
    store.save(masks, {})
except UserError as error:
    print(error)
"""


@pytest.mark.skipif(os.name != "posix", reason="needs a limit on file sizes")
def test_full_disk_leaves_the_old_file(tmp_path):
    store = MaskStore(tmp_path)
    old = MaskSet.from_dense("a", np.ones((1, 2, 2), bool))
    store.save(old, {})
    done = subprocess.run([sys.executable, "-c", FULL, str(tmp_path)], capture_output=True, text=True, check=True)
    assert f"cannot write {tmp_path / 'a.npz'}" in done.stdout
    assert store.load("a").rles == old.rles
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["a.npz"]


def test_import_from_elsewhere(fails, data, tmp_path):
    (tmp_path / "mine").mkdir()
    assert "does not exist: correct --import-from" in fails("--data", data, "--import-from", tmp_path / "nowhere")
    assert "no masks named after the frames" in fails("--data", data, "--import-from", tmp_path / "mine")


HOSTILE_IMPORTS = {
    "truncated JSON": ("000.json", b'[{"segmentation"'),
    "forged counts": ("000.json", b'[{"segmentation": {"size": [24, 32], "counts": "oooooooooooo0"}}]'),
    "wrong size": ("000.json", b'[{"segmentation": {"size": [32, 24], "counts": [8, 760]}}]'),
    "larger than the image": ("000.json", b'[{"segmentation": {"size": [48, 64], "counts": [8, 3064]}}]'),
    "giant": ("000.json", b'[{"segmentation": {"size": [65536, 32768], "counts": [1, 2147483647]}}]'),
    "deep": ("000.json", b"[" * 100_000),
    "binary": ("000.json", bytes(range(256))),
    "truncated npz": ("000.npz", b"PK\x03\x04aaaaaaaa"),
    "pickled npz": ("000.npz", b"\x80\x04\x95\x00."),
    "no PNG": ("000.png", b"\x89PNG\r\n\x1a\nxxxx"),
}


@pytest.mark.parametrize(("name", "content"), HOSTILE_IMPORTS.values(), ids=HOSTILE_IMPORTS.keys())
def test_hostile_import(fails, data, tmp_path, name, content):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / name).write_bytes(content)
    assert str(tmp_path / "mine" / name) in fails("--data", data, "--import-from", tmp_path / "mine")
    assert not list(data.rglob("*.npz"))


def test_no_masks_to_export(fails, data, tmp_path):
    assert "no frame has masks" in fails("--data", data, "--export-coco", tmp_path / "coco")


def test_frame_paths_cannot_leave_the_output(data, tmp_path):
    """Images outside of the data set are read, but masks are only written below the output folder."""
    Image.new("RGB", (32, 24)).save(tmp_path / "outside.png")
    content = json.loads((data / "transforms.json").read_text())
    content["frames"][0]["file_path"] = "../outside.png"
    (data / "transforms.json").write_text(json.dumps(content))
    mine = tmp_path / "mine"
    mine.mkdir()
    Image.fromarray(np.ones((24, 32), np.uint8)).save(mine / "outside.png")
    main(["masks", "--data", str(data), "--import-from", str(mine), "--output", str(tmp_path / "out" / "masks")])
    assert [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.npz")] == ["out/masks/outside.npz"]
