import os

import numpy as np
import pytest
import torch
from PIL import Image

from trase_ns.capture import Frame
from trase_ns.errors import UserError
from trase_ns.learning.feature_extractors import load_extractor
from trase_ns.learning.feature_maps import FeatureMaps
from trase_ns.learning.map_store import MapStore, extract_maps


@pytest.fixture
def frames(tmp_path):
    generator = np.random.default_rng(0)
    found = []
    for name in ("a", "cam/b", "cam/c"):
        path = tmp_path / "images" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(generator.integers(0, 256, (12, 16, 3), dtype=np.uint8)).save(path)
        found.append(Frame(name, path, np.eye(4), 10, 10, 8, 6, 16, 12, 0.0, "train"))
    return found


@pytest.fixture
def extractor(small_vgg):
    return load_extractor("vgg16", small_vgg, layers=("conv2_1",))


def test_maps_are_read_as_they_were_made(frames, extractor, tmp_path):
    assert extract_maps(frames, extractor, tmp_path / "maps") == 3
    maps = FeatureMaps(tmp_path / "maps", [frame.name for frame in frames])
    assert maps.frames() == ["a", "cam/b", "cam/c"]
    assert maps.channels == 128
    for frame in frames:
        expected = extractor(np.asarray(Image.open(frame.image_path)))
        torch.testing.assert_close(maps.load(frame.name), expected, atol=1e-2, rtol=1e-3)
    assert not (tmp_path / "maps" / ".unfinished").exists()


def test_only_what_changed_is_made_again(frames, extractor, small_vgg, tmp_path):
    folder = tmp_path / "maps"
    extract_maps(frames[:1], extractor, folder)
    assert extract_maps(frames, extractor, folder) == 2
    assert extract_maps(frames, extractor, folder) == 0
    Image.fromarray(np.zeros((12, 16, 3), np.uint8)).save(frames[1].image_path)
    before = FeatureMaps(folder, ["cam/b"]).load("cam/b")
    assert extract_maps(frames, extractor, folder) == 1
    assert not torch.equal(FeatureMaps(folder, ["cam/b"]).load("cam/b"), before)
    path = MapStore(folder).path("a")
    os.truncate(path, path.stat().st_size - 10)
    assert extract_maps(frames, extractor, folder) == 1
    assert extract_maps(frames, load_extractor("vgg16", small_vgg, layers=("conv1_2",)), folder) == 3
    assert extract_maps(frames, extractor, folder, overwrite=True) == 3


def test_maps_before_a_broken_picture_stay(frames, extractor, tmp_path):
    frames[2].image_path.write_bytes(frames[2].image_path.read_bytes()[:60])
    with pytest.raises(UserError, match=r"c\.png cannot be read"):
        extract_maps(frames, extractor, tmp_path / "maps")
    assert MapStore(tmp_path / "maps").frames() == ["a", "cam/b"]


def test_transparent_pictures(frames, extractor, tmp_path):
    picture = np.random.default_rng(1).integers(0, 256, (12, 16, 4), dtype=np.uint8)
    Image.fromarray(picture, "RGBA").save(frames[0].image_path)
    assert extract_maps(frames[:1], extractor, tmp_path / "maps") == 1


def test_folders_that_cannot_be_written(frames, extractor, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write feature maps to .*--output"):
        extract_maps(frames, extractor, tmp_path / "file")
    with MapStore(tmp_path).writing(), pytest.raises(UserError, match="another process is making feature maps"):
        extract_maps(frames, extractor, tmp_path)


def test_damaged_weights_are_found(frames, extractor, tmp_path):
    parameter = next(extractor.network.parameters())
    old = parameter.data.clone()
    parameter.data.fill_(float("nan"))
    try:
        with pytest.raises(UserError, match=r"a\.png is not finite"):
            extract_maps(frames, extractor, tmp_path / "maps")
    finally:
        parameter.data.copy_(old)
    assert MapStore(tmp_path / "maps").frames() == []
