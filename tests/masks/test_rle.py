import numpy as np
import pytest
from pycocotools import mask as coco

from trase_ns.masks.rle import compress, encode, run_lengths


def random_mask(rng, height, width):
    """Blobs, noise, full and empty: short and long runs."""
    kind = rng.integers(4)
    if kind == 0:
        return rng.random((height, width)) < rng.random()
    if kind == 1:
        return np.full((height, width), rng.random() < 0.5)
    y, x = np.mgrid[:height, :width]
    return np.hypot(y - rng.random() * height, x - rng.random() * width) < rng.random() * max(height, width)


@pytest.mark.parametrize("seed", range(60))
def test_agrees_with_pycocotools(seed):
    rng = np.random.default_rng(seed)
    height, width = rng.integers(1, 300, 2)
    mask = random_mask(rng, height, width)
    counts = encode(mask)
    runs = run_lengths(counts, height, width)
    rebuilt = np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(width, height).T
    np.testing.assert_array_equal(rebuilt, mask)
    np.testing.assert_array_equal(rebuilt, coco.decode({"counts": counts, "size": [int(height), int(width)]}))
    assert compress(runs) == counts


def test_uncompressed_counts():
    np.testing.assert_array_equal(run_lengths([2, 3, 1], 2, 3), [2, 3, 1])
    assert run_lengths("".join(map(chr, compress(np.array([2, 3, 1])))), 2, 3).tolist() == [2, 3, 1]


BAD = {
    "empty": b"",
    "empty list": [],
    "too short": compress(np.array([2, 2])),
    "too long": compress(np.array([2, 9])),
    "negative": [7, -1],
    "text in list": ["a"],
    "nested": [[1, 2], 3],
    "not ascii": "äöü",
    "below the alphabet": b"  ",
    "above the alphabet": b"\xff\xff",
    "cut off": b"o",
    "endless number": b"oooooooooooooooooooooo0",
    "wraps around": b"ooooooo?ooooooo?ooooooo?",
    "huge list": [2**70],
    "none": None,
}


@pytest.mark.parametrize("counts", BAD.values(), ids=BAD.keys())
def test_malformed_counts(counts):
    with pytest.raises(ValueError):  # noqa: PT011
        run_lengths(counts, 2, 3)


@pytest.mark.parametrize("size", [(0, 3), (-1, -6), (1 << 20, 1 << 20)])
def test_impossible_size(size):
    with pytest.raises(ValueError, match="cannot be"):
        run_lengths([6], *size)


def test_random_bytes_never_crash():
    rng = np.random.default_rng(3)
    for _ in range(3000):
        counts = rng.integers(40, 120, rng.integers(1, 30)).astype(np.uint8).tobytes()
        try:
            runs = run_lengths(counts, 20, 30)
        except ValueError:
            continue
        assert runs.sum() == 600
        assert runs.min() >= 0
