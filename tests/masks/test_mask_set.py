import numpy as np
import pytest

from trase_ns.errors import UserError
from trase_ns.masks import MaskSet


@pytest.fixture
def dense():
    rng = np.random.default_rng(0)
    return rng.random((5, 20, 30)) < 0.3


def test_dense_round_trip(dense):
    masks = MaskSet.from_dense("a", dense, [0.1, 0.2, 0.3, 0.4, 0.5])
    np.testing.assert_array_equal(masks.dense(), dense)
    np.testing.assert_array_equal(masks.areas, dense.sum((1, 2)))
    np.testing.assert_allclose(masks.scores, [0.1, 0.2, 0.3, 0.4, 0.5])
    assert (len(masks), masks.height, masks.width) == (5, 20, 30)
    assert masks.dense().dtype == bool


def test_empty_masks_are_left_out(dense):
    dense[[1, 4]] = False
    masks = MaskSet.from_dense("a", dense, range(5))
    np.testing.assert_array_equal(masks.dense(), dense[[0, 2, 3]])
    np.testing.assert_array_equal(masks.scores, [0, 2, 3])


def test_no_masks():
    masks = MaskSet.from_dense("a", np.zeros((0, 20, 30), dtype=bool))
    assert len(masks) == 0
    assert masks.dense().shape == (0, 20, 30)
    assert masks.resized(10, 15).shape == (0, 10, 15)
    assert masks.at(np.array([[1, 2]])).shape == (1, 0)
    with pytest.raises(ValueError, match="no masks"):
        MaskSet.from_dense("a", [])


def test_sizes_must_agree():
    with pytest.raises(ValueError, match="differ in size"):
        MaskSet.from_dense("a", [np.ones((2, 3), bool), np.ones((3, 2), bool)])


def test_at_reads_x_then_y(dense):
    masks = MaskSet.from_dense("a", dense)
    y, x = np.mgrid[:20, :30].reshape(2, -1)
    np.testing.assert_array_equal(masks.at(np.stack([x, y], 1)), dense[:, y, x].T)
    with pytest.raises(ValueError, match="inside 30 x 20"):
        masks.at(np.array([[3, 20]]))
    with pytest.raises(ValueError, match="inside 30 x 20"):
        masks.at(np.array([[-1, 0]]))


def test_resized_takes_the_nearest_pixel(dense):
    masks = MaskSet.from_dense("a", dense)
    np.testing.assert_array_equal(masks.resized(20, 30), dense)
    np.testing.assert_array_equal(masks.resized(40, 60), dense.repeat(2, 1).repeat(2, 2))
    assert masks.resized(10, 15).sum() == dense[:, 1::2, 1::2].sum()


@pytest.mark.parametrize("image", [(30, 20), (60, 40), (61, 40), (90, 60), (59, 41)])
def test_scaled_sizes_fit(dense, image):
    MaskSet.from_dense("a", dense).check_size(*image, source="file")


@pytest.mark.parametrize("image", [(20, 30), (15, 10), (60, 60), (90, 40), (30, 19)])
def test_other_sizes_do_not(dense, image):
    with pytest.raises(UserError, match=r"file: the masks of frame a are 30 x 20 pixels, but its image is"):
        MaskSet.from_dense("a", dense).check_size(*image, source="file")
