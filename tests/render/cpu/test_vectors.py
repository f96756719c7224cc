import numpy as np
from numba import njit

from trase_ns.render.cpu import vectors as v


@njit
def _compute(x, y, results, sums):
    a, b = v.load(x, 0), v.load(y, 0)
    v.store(results, 0, a + b)
    v.store(results, 16, a - b)
    v.store(results, 32, a * b)
    v.store(results, 48, a / b)
    v.store(results, 64, v.minimum(a, b))
    v.store(results, 80, v.maximum(a, b))
    v.store(results, 96, v.absolute(a))
    v.store(results, 112, v.select((a < b) & (v.splat(0.0) <= a), a, v.broadcast(y, 2)))
    v.store(results, 128, v.exp_minus_half(v.absolute(a)))
    v.add_sums(sums, 1, a, b, a * b, v.splat(1.0), a + a, b * b, v.splat(-2.0), a * a)
    bits = v.bits_of(a < b)
    return bits, v.lowest_bit(bits), v.bits_of(v.mask_of(bits) ^ (b < a)), v.bits_of((a < b) | (b <= a))


@njit
def _transpose(source, target):
    v.prefetch(source, 5)
    v.prefetch(source, 1 << 40)  # far beyond its end, where nothing is read
    v.transpose(source, 5, 20, target, 3, 17)


def test_transposed():
    source, target = np.arange(330, dtype=np.float32), np.full(280, -1, np.float32)
    _transpose(source, target)
    rows, columns = source[5:325].reshape(16, 20)[:, :16], target[3:275].reshape(16, 17)
    np.testing.assert_array_equal(columns[:, :16], rows.T)
    assert (columns[:, 16] == -1).all()
    assert (target[:3] == -1).all()


def test_every_lane():
    generator = np.random.default_rng(0)
    x = generator.normal(size=16).astype(np.float32) * 3
    y = generator.normal(size=16).astype(np.float32)
    results, sums = np.zeros(144, np.float32), np.ones(10, np.float32)
    bits, lowest, exclusive, everything = _compute(x, y, results, sums)
    expected = [x + y, x - y, x * y, x / y, np.minimum(x, y), np.maximum(x, y), np.abs(x)]
    expected += [np.where((x < y) & (x >= 0), x, y[2]), np.exp(-np.abs(x) / 2)]
    np.testing.assert_allclose(results.reshape(9, 16), expected, rtol=1e-6)
    vectors = [x, y, x * y, np.ones(16), x + x, y * y, np.full(16, -2), x * x]
    np.testing.assert_allclose(sums, [1, *(1 + a.sum() for a in vectors), 1], rtol=1e-5, atol=1e-5)
    assert bits == sum(1 << i for i in range(16) if x[i] < y[i])
    assert lowest == min(i for i in range(16) if x[i] < y[i])
    assert exclusive == everything == 0xFFFF


@njit
def _exponentials(x, results):
    for i in range(0, x.shape[0], 16):
        v.store(results, i, v.exp_minus_half(v.load(x, i)))


def test_exponential_is_exact_to_float32():
    x = np.linspace(0, 160, 16 * 4000).astype(np.float32)
    results = np.empty_like(x)
    _exponentials(x, results)
    # the argument itself is rounded when it is scaled, so large ones lose a little
    np.testing.assert_allclose(results, np.exp(-x.astype(np.float64) / 2), rtol=5e-6)
    near = x < 12  # where alpha can show
    np.testing.assert_allclose(results[near], np.exp(-x[near].astype(np.float64) / 2), rtol=6e-7)
    far = np.full(16, 1e6, np.float32)
    _exponentials(far, results)
    assert 0 <= results[0] < 1e-36
