import json

import numpy as np
import pytest
from PIL import Image

from trase_ns.capture import load_capture
from trase_ns.errors import UserError
from trase_ns.masks import MaskSet, MaskStore
from trase_ns.masks.generate import generate_masks, import_masks, outstanding
from trase_ns.masks.imports import find_imports


class BrightParts:
    """A generator without a network: one mask for each channel above a threshold."""

    def __init__(self, threshold=128):
        self.key = {"generator": "bright", "threshold": threshold}
        self.frames = []

    def __call__(self, frame, image):
        assert image.shape[2] == 3
        self.frames.append(frame)
        return MaskSet.from_dense(frame, image.transpose(2, 0, 1) >= self.key["threshold"])


@pytest.fixture
def capture(tmp_path):
    rng = np.random.default_rng(0)
    frames = []
    for index in range(4):
        name = f"images/{index}.png"
        (tmp_path / "images").mkdir(exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (6, 8, 4 if index == 3 else 3), dtype=np.uint8)).save(tmp_path / name)
        frames.append({"file_path": name, "transform_matrix": np.eye(4).tolist(), "time": index / 3})
    (tmp_path / "transforms.json").write_text(json.dumps({"fl_x": 8, "frames": frames}))
    return load_capture(tmp_path)


def run(capture, generator, overwrite=False):
    """One start: make what is outstanding; returns the names of the frames that were made."""
    store = MaskStore(capture.root / "masks")
    todo, _ = outstanding(capture.frames, store, generator.key, overwrite)
    with store.writing():
        generate_masks(todo, store, generator)
    return generator.frames


def test_second_start_makes_nothing(capture):
    assert run(capture, BrightParts()) == ["0", "1", "2", "3"]
    assert run(capture, BrightParts()) == []
    assert run(capture, BrightParts(), overwrite=True) == ["0", "1", "2", "3"]


def test_goes_on_where_it_was_stopped(capture):
    run(capture, BrightParts())
    store = MaskStore(capture.root / "masks")
    whole = {name: store.path(name).read_bytes() for name in "0123"}
    store.path("1").unlink()
    store.path("2").write_bytes(whole["2"][:60])
    assert run(capture, BrightParts()) == ["1", "2"]
    assert {name: store.path(name).read_bytes() for name in "0123"} == whole


def test_changed_image_is_noticed(capture):
    run(capture, BrightParts())
    Image.new("RGB", (8, 6), (255, 0, 0)).save(capture.frames[2].image_path)
    assert run(capture, BrightParts()) == ["2"]
    assert MaskStore(capture.root / "masks").load("2").dense().all()


def test_changed_settings_are_noticed(capture):
    run(capture, BrightParts())
    assert run(capture, BrightParts(threshold=129)) == ["0", "1", "2", "3"]


def test_imported_masks_are_not_replaced(capture):
    source = capture.root / "mine"
    source.mkdir()
    Image.fromarray(np.tri(6, 8, dtype=np.uint8)).save(source / "1.png")
    store = MaskStore(capture.root / "masks")
    import_masks([capture.frame("1")], find_imports(source, capture.frames), store)
    assert run(capture, BrightParts()) == ["0", "2", "3"]
    np.testing.assert_array_equal(store.load("1").dense(), np.tri(6, 8, dtype=bool)[None])
    assert run(capture, BrightParts(), overwrite=True) == ["0", "1", "2", "3"]


def test_transparent_images_are_put_on_white(capture):
    image = np.zeros((6, 8, 4), np.uint8)
    image[:, :4, 3] = 255
    Image.fromarray(image).save(capture.frames[3].image_path)
    run(capture, BrightParts())
    masks = MaskStore(capture.root / "masks").load("3").dense()
    assert not masks[:, :, :4].any()
    assert masks[:, :, 4:].all()


def test_stops_at_a_truncated_image_and_keeps_what_is_done(capture):
    path = capture.frames[2].image_path
    path.write_bytes(path.read_bytes()[:-60])
    with pytest.raises(UserError, match=r"images/2\.png cannot be read"):
        run(capture, BrightParts())
    assert MaskStore(capture.root / "masks").frames() == ["0", "1"]


def test_imported_masks_must_fit(capture):
    source = capture.root / "mine"
    source.mkdir()
    Image.fromarray(np.ones((8, 6), np.uint8)).save(source / "1.png")
    with pytest.raises(UserError, match=r"mine/1\.png: the masks of frame 1 are 6 x 8 pixels, but its image is 8 x 6"):
        import_masks([capture.frame("1")], find_imports(source, capture.frames), MaskStore(capture.root / "masks"))
    assert not (capture.root / "masks").exists()
