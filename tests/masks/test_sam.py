import io
import pickle

import numpy as np
import pytest
import torch

from trase_ns.capture import load_capture, load_image
from trase_ns.errors import UserError
from trase_ns.masks import open_masks
from trase_ns.masks.sam import SamGenerator, SamSettings, load_sam, recognise

# Random networks rate their masks low: keep all.
ANY = {"pred_iou_thresh": 0.0, "stability_score_thresh": 0.0, "min_mask_region_area": 0}


@pytest.fixture
def image():
    return np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)


def test_generates_what_segment_anything_does(small_sam, image):
    from segment_anything import SamAutomaticMaskGenerator

    masks = SamGenerator(small_sam, "hash", SamSettings(4, **ANY))("a", image)
    records = SamAutomaticMaskGenerator(small_sam, 4, pred_iou_thresh=0, stability_score_thresh=0).generate(image)
    assert len(masks) == len(records) > 0
    assert (masks.frame, masks.height, masks.width) == ("a", 48, 64)
    np.testing.assert_array_equal(masks.dense(), [record["segmentation"] for record in records])
    np.testing.assert_allclose(masks.scores, [record["predicted_iou"] for record in records], rtol=1e-6)


def test_scaled_images_give_small_masks(small_sam, image):
    masks = SamGenerator(small_sam, "hash", SamSettings(2, image_scale=0.5, **ANY))("a", image)
    assert (masks.height, masks.width) == (24, 32)
    masks.check_size(64, 48, "a")


def test_key_holds_model_and_settings():
    key = SamSettings(4).key("hash")
    assert key["model"] == "hash"
    assert SamSettings(4).key("other") != key
    assert SamSettings(4).key("hash") == key
    for change in ({"points_per_side": 5}, {"image_scale": 0.5}, {"min_mask_region_area": 1}):
        assert SamSettings(**{"points_per_side": 4, **change}).key("hash") != key


@pytest.mark.parametrize(
    ("settings", "option"),
    [
        ({"points_per_side": 0}, "--points-per-side"),
        ({"pred_iou_thresh": 1.2}, "--pred-iou-thresh"),
        ({"stability_score_thresh": float("nan")}, "--stability-score-thresh"),
        ({"min_mask_region_area": -1}, "--min-mask-region-area"),
        ({"image_scale": 0.0}, "--image-scale"),
        ({"image_scale": 2.0}, "--image-scale"),
    ],
)
def test_bad_settings_name_the_option(settings, option):
    with pytest.raises(UserError, match=option):
        SamSettings(**settings)


def test_wrong_weights(tmp_path, small_sam):
    path = tmp_path / "weights.pt"
    for content, message in [
        (small_sam.state_dict(), "not those of mobile, but those of no SAM model"),
        ({"image_encoder.pos_embed": torch.zeros(1, 64, 64, 768)}, "those of vit_b: pass --sam vit_b"),
        ({"image_encoder.layers.1.blocks.0.attn.attention_biases": torch.zeros(1)}, "do not fit mobile"),
        ([1, 2], "no table of tensors"),
        ({"state": {"a": torch.zeros(1)}}, "no table of tensors"),
    ]:
        torch.save(content, path)
        with pytest.raises(UserError, match=message) as caught:
            load_sam("mobile", path, "cpu")
        assert "weights.pt" in str(caught.value)
        assert "\n" not in str(caught.value)


def test_damaged_weights(tmp_path, small_sam):
    path = tmp_path / "weights.pt"
    torch.save(small_sam.state_dict(), path)
    content = path.read_bytes()
    for damaged in (b"", b"hello", content[: len(content) // 2], content[:-10]):
        path.write_bytes(damaged)
        with pytest.raises(UserError, match=r"weights\.pt are no PyTorch checkpoint, or damaged"):
            load_sam("mobile", path, "cpu")


def test_code_in_weights_is_never_run(tmp_path):
    class Bomb:
        def __reduce__(self):
            return io.open, (str(tmp_path / "ran"), "w")

    path = tmp_path / "weights.pt"
    path.write_bytes(pickle.dumps(Bomb()))
    torch.save({"image_encoder.pos_embed": Bomb()}, tmp_path / "zip.pt")
    for bomb in (path, tmp_path / "zip.pt"):
        with pytest.raises(UserError, match="no PyTorch checkpoint, or damaged"):
            load_sam("mobile", bomb, "cpu")
    assert not (tmp_path / "ran").exists()


def test_mobile_sam_loads_strictly(assets):
    assert recognise(assets / "mobile_sam.pt") == "mobile"
    assert not load_sam("mobile", assets / "mobile_sam.pt", "cpu").training


@pytest.mark.slow
def test_mobile_sam_agrees_with_the_original_program(assets):
    capture = load_capture(assets / "hand_books")
    frame = capture.frames[0]
    generator = SamGenerator(load_sam("mobile", assets / "mobile_sam.pt", "cpu"), "hash", SamSettings(16))
    ours = generator(frame.name, load_image(frame)).dense().reshape(-1, 512 * 384)
    theirs = open_masks(assets / "hand_books" / "masks", [frame.name]).load(frame.name).dense().reshape(-1, 512 * 384)
    shared = ours.astype(np.float32) @ theirs.T.astype(np.float32)
    iou = shared / (ours.sum(1)[:, None] + theirs.sum(1) - shared)
    assert (iou.max(0) >= 0.95).mean() >= 0.95
    assert (iou.max(1) >= 0.95).mean() >= 0.95
