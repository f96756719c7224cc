import math

import pytest
import torch

from trase_ns.render import rasterize
from trase_ns.render.rasterization import compensation, conics
from trase_ns.render.reference import project


def test_projection_is_gsplats(make_scene):
    from gsplat.cuda._torch_impl import _fully_fused_projection, _quat_scale_to_covar_preci

    scene = make_scene(count=300, cameras=3)
    means, quats, scales = scene.means.double() * 2, scene.quats.double(), scene.scales.double()
    viewmats, Ks = scene.viewmats.double(), scene.Ks.double()
    means2d, cov2d, depths, radii = project(means, quats, scales, viewmats, Ks, 70, 45, 0.01, 1e10, 0.3)
    covariances, _ = _quat_scale_to_covar_preci(quats, scales, compute_preci=False)
    expected = _fully_fused_projection(means, covariances, viewmats, Ks, 70, 45, calc_compensations=True)
    assert torch.equal(radii, expected[0])
    visible = radii > 0
    assert visible.any()
    assert not visible.all()
    got = means2d, depths, conics(cov2d), compensation(cov2d, 0.3)
    for a, b in zip(got, expected[1:]):
        torch.testing.assert_close(a[visible], b[visible])


def test_spherical_harmonics_are_gsplats(make_scene):
    from gsplat.cuda._torch_impl import _spherical_harmonics

    from trase_ns.render.rasterization import view_colors

    scene = make_scene(cameras=2)
    sh = torch.randn(120, 16, 3, generator=torch.Generator().manual_seed(3)).double()
    means, viewmats = scene.means.double(), scene.viewmats.double()
    positions = torch.inverse(viewmats)[:, None, :3, 3]
    expected = (_spherical_harmonics(2, means - positions, sh.expand(2, -1, -1, -1)) + 0.5).clamp(min=0)
    torch.testing.assert_close(view_colors(means, sh, viewmats, 2), expected)


def literal_picture(scene, info):
    """gsplat's kernel, pixel by pixel."""
    image = torch.zeros(scene.height, scene.width, 3).double()
    order = sorted(range(len(scene.means)), key=lambda i: float(info["depths"][0, i]))
    for py in range(scene.height):
        for px in range(scene.width):
            clear, color = 1.0, torch.zeros(3).double()
            for i in order:
                radius = int(info["radii"][0, i])
                x, y = info["means2d"][0, i].tolist()
                first = math.floor(x / 16 - radius / 16), math.floor(y / 16 - radius / 16)
                last = math.ceil(x / 16 + radius / 16), math.ceil(y / 16 + radius / 16)
                if radius == 0 or not (first[0] <= px // 16 < last[0] and first[1] <= py // 16 < last[1]):
                    continue
                a, b, c = info["conics"][0, i].tolist()
                dx, dy = x - px - 0.5, y - py - 0.5
                sigma = 0.5 * (a * dx * dx + c * dy * dy) + b * dx * dy
                alpha = min(0.999, float(scene.opacities[i]) * math.exp(-sigma))
                if sigma < 0 or alpha < 1 / 255:
                    continue
                if clear * (1 - alpha) <= 1e-4:
                    break
                color += clear * alpha * scene.colors[i]
                clear *= 1 - alpha
            image[py, px] = color + clear * scene.backgrounds[0]
    return image


@pytest.mark.parametrize("backend", ["reference", "cpu"])
def test_picture_is_the_kernels_pixel_by_pixel(make_scene, backend):
    scene = make_scene(count=60, width=36, height=20, size=0.2)
    scene = scene.but(opacities=scene.opacities.sqrt())
    dtype = torch.float64 if backend == "reference" else torch.float32
    inputs = {name: tensor.to(dtype) for name, tensor in scene.inputs.items()}
    pictures, _, info = rasterize(
        **inputs, viewmats=scene.viewmats.to(dtype), Ks=scene.Ks.to(dtype), width=36, height=20, backend=backend
    )
    torch.testing.assert_close(pictures[0].double(), literal_picture(scene, info), rtol=0, atol=2e-6)
