import torch

from trase_ns.render import rasterize, render_view
from trase_ns.scene.camera import Camera
from trase_ns.scene.gaussians import Gaussians


def test_view_is_what_rasterize_shows(make_scene):
    scene = make_scene(count=80)
    sh = torch.randn(80, 9, 3, generator=torch.Generator().manual_seed(0)) * 0.3
    gaussians = Gaussians(scene.means, scene.quats, scene.scales, scene.opacities, sh)
    camera = Camera(scene.viewmats[0], scene.Ks[0], scene.width, scene.height)
    geometry = scene.means, scene.quats, scene.scales, scene.opacities
    where = scene.viewmats, scene.Ks, scene.width, scene.height

    view = render_view(gaussians, camera, background=scene.backgrounds[0], depth=True)
    pictures, alphas, _ = rasterize(
        *geometry, sh, *where, sh_degree=2, backgrounds=scene.backgrounds, render_mode="RGB+ED"
    )
    assert view.color.shape == (45, 70, 3)
    assert torch.equal(torch.cat([view.color, view.depth], dim=-1), pictures[0])
    assert torch.equal(view.alpha, alphas[0])
    assert view.info["radii"].shape == (1, 80)

    plain = render_view(gaussians, camera, sh_degree=0)
    assert torch.equal(plain.color, rasterize(*geometry, sh, *where, sh_degree=0)[0][0])
    assert plain.depth is None

    features = torch.rand(80, 7, generator=torch.Generator().manual_seed(1))
    view = render_view(gaussians, camera, colors=features)
    assert torch.equal(view.color, rasterize(*geometry, features, *where)[0][0])
