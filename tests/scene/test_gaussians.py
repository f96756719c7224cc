"""Scenes and their Gaussians."""

import torch

from trase_ns.scene import quaternions
from trase_ns.scene.gaussians import DynamicGaussians, Gaussians


def test_a_scene_at_rest_is_its_gaussians_at_every_time():
    generator = torch.Generator().manual_seed(0)
    gaussians = Gaussians(
        torch.randn(4, 3, generator=generator),
        quaternions.random(4, generator),
        torch.rand(4, 3, generator=generator),
        torch.tensor([0.0, 0.3, 0.9, 1.0]),
        torch.randn(4, 9, 3, generator=generator),
    )
    scene = DynamicGaussians.at_rest(gaussians)
    assert len(scene) == 4
    for time in (0.0, 0.7):
        for name in ("means", "quats", "scales", "opacities", "sh"):
            torch.testing.assert_close(
                getattr(scene.at(time), name), getattr(gaussians, name), atol=2e-6, rtol=1e-5, msg=name
            )
    zero = DynamicGaussians.at_rest(
        Gaussians(gaussians.means, gaussians.quats, torch.zeros(4, 3), gaussians.opacities, gaussians.sh)
    )
    assert torch.isfinite(zero.log_scales).all()
    assert torch.isfinite(zero.logit_opacities).all()
