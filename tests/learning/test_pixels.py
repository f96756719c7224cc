import numpy as np
import pytest
import torch

from trase_ns.learning.pixels import sample_pixels
from trase_ns.masks import MaskSet

WIDTH, HEIGHT = 12, 8


@pytest.fixture
def masks() -> MaskSet:
    """The left half, its upper quarter, and one pixel; the right half is bare."""
    dense = np.zeros((3, HEIGHT, WIDTH), dtype=bool)
    dense[0, :, :6] = dense[1, :4, :6] = dense[2, 7, 3] = True
    return MaskSet.from_dense("frame", dense)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_all_pixels_once_with_their_masks(masks):
    sample = sample_pixels(masks, WIDTH, HEIGHT, 1000, generator=generator())
    x, y = sample.pixels.T
    assert sorted((y * WIDTH + x).tolist()) == list(range(WIDTH * HEIGHT))
    assert torch.equal(sample.mask_vectors, torch.from_numpy(masks.dense())[:, y, x].T)
    assert torch.equal(sample.paired, x < 6)
    assert sample.mask_sizes.tolist() == [48, 24, 1]


def test_the_draw_is_uniform_and_follows_the_generator(masks):
    again = [sample_pixels(masks, WIDTH, HEIGHT, 10, generator=generator(3)).pixels for _ in range(2)]
    assert torch.equal(*again)
    counts = np.zeros((HEIGHT, WIDTH))
    source = generator(4)
    for _ in range(800):
        x, y = sample_pixels(masks, WIDTH, HEIGHT, 12, generator=source).pixels.numpy().T
        counts[y, x] += 1
    # 100 expected in each of 96 places; binomial, standard deviation 9.4.
    assert counts.sum() == 800 * 12
    assert counts.min() > 60
    assert counts.max() < 140


def test_drawn_masks_choose_pixels_and_hide_no_mask(masks):
    seen = set()
    source = generator(5)
    for _ in range(50):
        sample = sample_pixels(masks, WIDTH, HEIGHT, 1000, mask_count=1, generator=source)
        chosen = [m for m in range(3) if torch.equal(sample.paired, sample.mask_vectors[:, m])]
        assert len(chosen) == 1
        assert sample.mask_vectors.shape == (96, 3)
        seen.add(chosen[0])
    assert seen == {0, 1, 2}


@pytest.mark.parametrize("scale", [0.5, 2])
def test_masks_of_another_resolution(masks, scale):
    # A pixel's centre decides: every pixel of the picture sees the mask that a resized one would show there.
    width, height = int(WIDTH * scale), int(HEIGHT * scale)
    sample = sample_pixels(masks, width, height, 10**6, generator=generator())
    x, y = sample.pixels.T
    assert len(x) == width * height
    assert torch.equal(sample.mask_vectors, torch.from_numpy(masks.resized(height, width))[:, y, x].T)


def test_a_frame_without_masks():
    bare = MaskSet.from_dense("frame", np.zeros((0, HEIGHT, WIDTH), dtype=bool))
    sample = sample_pixels(bare, WIDTH, HEIGHT, 10)
    assert sample.mask_vectors.shape == (10, 0)
    assert not sample.paired.any()
