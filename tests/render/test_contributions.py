import pytest
import torch

from trase_ns.render import contributions, render_view
from trase_ns.scene.camera import Camera
from trase_ns.scene.gaussians import Gaussians


@pytest.fixture(scope="module")
def view(make_scene):
    scene = make_scene(count=800, channels=5)
    gaussians = Gaussians(scene.means, scene.quats, scene.scales, scene.opacities, torch.zeros(800, 1, 3))
    return gaussians, Camera(scene.viewmats[0], scene.Ks[0], scene.width, scene.height), scene.colors


def same(a, b):
    return a.shape == b.shape and all(
        torch.equal(getattr(a, name), getattr(b, name)) for name in ("indptr", "indices", "weights")
    )


def test_product_is_the_picture(view):
    gaussians, camera, colors = view
    matrix = contributions(gaussians, camera)
    assert matrix.shape == (camera.width * camera.height, len(gaussians))
    picture = render_view(gaussians, camera, colors=colors)
    torch.testing.assert_close(matrix.matmul(colors).reshape(picture.color.shape), picture.color, rtol=0, atol=1e-5)
    torch.testing.assert_close(matrix.row_sums().reshape(picture.alpha.shape), picture.alpha, rtol=0, atol=1e-5)


def test_agrees_with_reference(view):
    gaussians, camera, _ = view
    got, expected = contributions(gaussians, camera), contributions(gaussians, camera, backend="reference")
    assert torch.equal(got.indptr, expected.indptr)
    assert torch.equal(got.indices, expected.indices)
    torch.testing.assert_close(got.weights, expected.weights, rtol=0, atol=1e-5)


def test_rows_go_from_front_to_back_and_weights_show(view):
    gaussians, camera, _ = view
    matrix = contributions(gaussians, camera)
    depth = (gaussians.means @ camera.viewmat[:3, :3].T + camera.viewmat[:3, 3])[:, 2]
    steps = depth[matrix.indices].diff()
    starts = torch.zeros(len(matrix.indices), dtype=torch.bool)
    starts[matrix.indptr[:-1][matrix.indptr.diff() > 0]] = True
    assert (steps[~starts[1:]] >= 0).all()
    assert (matrix.weights > 0).all()
    first = matrix.weights[matrix.indptr[:-1][matrix.indptr.diff() > 0]]
    assert (first >= 1 / 255 - 1e-6).all()


@pytest.mark.parametrize("backend", ["cpu", "reference"])
def test_some_pixels_are_rows_of_the_whole(view, backend):
    gaussians, camera, _ = view
    generator = torch.Generator().manual_seed(0)
    x = torch.randint(0, camera.width, (60,), generator=generator)
    y = torch.randint(0, camera.height, (60,), generator=generator)
    pixels = torch.stack([x, y], dim=1)
    pixels[7] = pixels[3]
    whole = contributions(gaussians, camera, backend=backend)
    assert same(
        contributions(gaussians, camera, pixels, backend=backend),
        whole.rows(y * camera.width + x).rows(torch.arange(60).where(torch.arange(60) != 7, 3)),
    )


@pytest.mark.parametrize("stretch", [1.0, 2.5])
def test_few_pixels_miss_no_gaussian(make_scene, stretch):
    """One pixel or a corner of the image, where most Gaussians are not even projected: bit by bit the same rows."""
    scene = make_scene(count=3000, width=150, height=107, size=0.03)
    means, scales = scene.means.clone(), scene.scales.clone()
    means[:1000] *= 3  # beside the image and behind the camera
    means[50:60, 2] -= 3.0  # close to it
    scales[:500, 0] *= 200  # needles
    scales[500:510] *= 50
    scales[600:700] *= -1  # mirrored
    means[700], scales[701], scales[702, 1], means[703, 2] = torch.nan, torch.nan, torch.inf, torch.inf
    camera = Camera(scene.viewmats[0].clone(), scene.Ks[0], scene.width, scene.height)
    camera.viewmat[:3, :3] *= stretch
    gaussians = Gaussians(means, scene.quats, scales, scene.opacities, torch.zeros(3000, 1, 3))
    whole = contributions(gaussians, camera)
    pixels = [(0, 0), (149, 106), (75, 50), (79, 48), (80, 47), (149, 0), (15, 31), (16, 32), (40, 100)]
    for x, y in pixels:
        row = contributions(gaussians, camera, torch.tensor([[x, y]]))
        assert len(row.indices) > 0
        assert same(row, whole.rows(torch.tensor([y * 150 + x])))
    corner = torch.cartesian_prod(torch.arange(120, 150), torch.arange(90, 107))
    assert same(contributions(gaussians, camera, corner), whole.rows(corner[:, 1] * 150 + corner[:, 0]))


def test_rows_by_mask(view):
    gaussians, camera, _ = view
    whole = contributions(gaussians, camera)
    chosen = torch.arange(whole.shape[0]) % 7 == 3
    assert same(whole.rows(chosen), whole.rows(torch.nonzero(chosen)[:, 0]))


def test_dense_and_scipy_agree(view):
    gaussians, camera, colors = view
    matrix = contributions(gaussians, camera)
    dense = torch.from_numpy(matrix.to_scipy().toarray())
    values = torch.randn(matrix.shape[0], 3, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(matrix.matmul(colors), dense @ colors)
    torch.testing.assert_close(matrix.transpose_matmul(values), dense.T @ values, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(matrix.column_sums(), dense.sum(0), rtol=1e-4, atol=1e-4)
    assert matrix.nbytes == matrix.indptr.nbytes + 12 * len(matrix.weights)


def test_transposed_product_is_the_gradient(view):
    gaussians, camera, colors = view
    matrix = contributions(gaussians, camera)
    values = colors.clone().requires_grad_()
    weights = torch.randn(matrix.shape[0], 5, generator=torch.Generator().manual_seed(2))
    product = (matrix.matmul(values) * weights).sum()
    product.backward()
    torch.testing.assert_close(values.grad, matrix.transpose_matmul(weights))
    weights = weights.requires_grad_()
    (matrix.transpose_matmul(weights) * colors).sum().backward()
    torch.testing.assert_close(weights.grad, matrix.matmul(colors))


def test_nothing_in_view(view):
    gaussians, camera, colors = view
    nobody = gaussians.subset(torch.zeros(len(gaussians), dtype=torch.bool))
    matrix = contributions(nobody, camera)
    assert matrix.shape == (camera.width * camera.height, 0)
    assert not matrix.matmul(colors[:0]).any()
    none = contributions(gaussians, camera, torch.zeros(0, 2, dtype=torch.int64))
    assert none.matmul(colors).shape == (0, 5)
    assert not none.transpose_matmul(torch.zeros(0, 5)).any()


@pytest.mark.parametrize(
    ("pixels", "message"),
    [
        (torch.tensor([[3, 4], [70, 0]]), r"pixel \(70, 0\) is outside the image of 70 x 45"),
        (torch.tensor([[0, -1]]), r"pixel \(0, -1\) is outside"),
        (torch.tensor([[0.5, 1.0]]), "expected integers"),
        (torch.tensor([1, 2]), r"expected integers \[P, 2\]"),
    ],
)
def test_wrong_pixels(view, pixels, message):
    gaussians, camera, _ = view
    with pytest.raises(ValueError, match=message):
        contributions(gaussians, camera, pixels)


def test_wrong_values(view):
    gaussians, camera, colors = view
    matrix = contributions(gaussians, camera, torch.tensor([[1, 2]]))
    with pytest.raises(ValueError, match=r"expected \[800, C\]"):
        matrix.matmul(colors[:5])
    with pytest.raises(ValueError, match=r"expected \[1, C\]"):
        matrix.transpose_matmul(colors)


@pytest.mark.cuda
def test_cuda_agrees_with_cpu(view):
    gaussians, camera, colors = view
    here, there = contributions(gaussians, camera), contributions(gaussians.to("cuda"), camera)
    torch.testing.assert_close(there.matmul(colors.cuda()).cpu(), here.matmul(colors), rtol=0, atol=1e-3)
    values = torch.randn(here.shape[0], 3, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(
        there.transpose_matmul(values.cuda()).cpu(), here.transpose_matmul(values), rtol=1e-2, atol=1e-2
    )
    pixels = torch.tensor([[3, 4], [20, 30], [3, 4]])
    assert there.indptr.is_cuda
    assert same(
        contributions(gaussians.to("cuda"), camera, pixels), there.rows(pixels[:, 1].cuda() * 70 + pixels[:, 0].cuda())
    )
