import threading

import pytest
import torch

from trase_ns.render import rasterize

MODES = ["RGB", "D", "ED", "RGB+D", "RGB+ED"]


def render(scene, backend, dtype=torch.float32, device="cpu", **options):
    """Pictures, alphas, info and the gradients of a fixed random loss."""
    inputs = {k: v.to(device, dtype).clone().requires_grad_() for k, v in scene.inputs.items()}
    backgrounds = inputs.pop("backgrounds")
    pictures, alphas, info = rasterize(
        **inputs,
        viewmats=scene.viewmats.to(device, dtype),
        Ks=scene.Ks.to(device, dtype),
        width=scene.width,
        height=scene.height,
        backgrounds=backgrounds,
        backend=backend,
        **options,
    )
    info["means2d"].retain_grad()
    generator = torch.Generator().manual_seed(5)
    weights = torch.randn(pictures.shape, generator=generator, dtype=torch.float64).to(device, dtype)
    alpha_weights = torch.randn(alphas.shape, generator=generator, dtype=torch.float64).to(device, dtype)
    ((pictures * weights).sum() + (alphas * alpha_weights).sum()).backward()
    gradients = {name: tensor.grad for name, tensor in (inputs | {"backgrounds": backgrounds}).items()}
    gradients["means2d"] = info["means2d"].grad
    if options.get("absgrad"):
        gradients["absgrad"] = info["means2d"].absgrad
    return pictures.detach(), alphas.detach(), info, gradients


def assert_same(got, expected, image=1e-5, gradient=1e-4):
    """Two results of `render` agree: pictures absolutely, gradients relative to the largest of their kind."""
    for a, b in zip(got[:2], expected[:2]):
        assert a.shape == b.shape
        scale = max(1.0, float(b.abs().max()))
        torch.testing.assert_close(a.cpu().double(), b.cpu().double(), rtol=0, atol=image * scale)
    assert torch.equal(got[2]["radii"].cpu(), expected[2]["radii"].cpu())
    for name, b in expected[3].items():
        a = got[3][name]
        assert (a is None) == (b is None), name
        if b is not None and b.numel():
            scale = float(b.abs().max())
            torch.testing.assert_close(
                a.cpu().double(),
                b.cpu().double(),
                rtol=0,
                atol=gradient * scale + 1e-12,
                msg=lambda m, n=name: f"{n}: {m}",
            )


@pytest.mark.parametrize("channels", [1, 3, 4, 7, 16, 17, 32, 36, 64, 384])
def test_cpu_agrees_with_reference(make_scene, channels):
    scene = make_scene(channels=channels)
    assert_same(render(scene, "cpu", absgrad=True), render(scene, "reference", torch.float64, absgrad=True))


@pytest.mark.parametrize("rasterize_mode", ["classic", "antialiased"])
@pytest.mark.parametrize("render_mode", MODES)
def test_modes_agree_with_reference(make_scene, render_mode, rasterize_mode):
    scene = make_scene(count=60, width=40, height=33, cameras=2, size=0.05)
    options = {"render_mode": render_mode, "rasterize_mode": rasterize_mode}
    got = render(scene, "cpu", **options)
    assert got[0].shape == (2, 33, 40, {"RGB": 3, "D": 1, "ED": 1}.get(render_mode, 4))
    # expected depth divides by alphas that are small at the borders
    assert_same(got, render(scene, "reference", torch.float64, **options), image=3e-5, gradient=2e-4)


@pytest.mark.parametrize("degree", [0, 1, 2, 3])
def test_spherical_harmonics_agree_with_reference(make_scene, degree):
    scene = make_scene(count=60, cameras=2, width=40)
    scene = scene.but(colors=torch.randn(60, 16, 3, generator=torch.Generator().manual_seed(1)) * 0.3)
    assert_same(render(scene, "cpu", sh_degree=degree), render(scene, "reference", torch.float64, sh_degree=degree))


def behind(scene):
    return scene.but(means=scene.means - torch.tensor([0.0, 0.0, 6.0]))


def around(scene):
    return scene.but(means=scene.means * 4)


def huge(scene):
    return scene.but(scales=scene.scales * 40)


def needles(scene):
    return scene.but(scales=scene.scales * torch.tensor([10.0, 0.001, 0.001]))


def transparent(scene):
    return scene.but(opacities=torch.zeros_like(scene.opacities))


def opaque(scene):
    return scene.but(opacities=torch.ones_like(scene.opacities))


def outside(scene):
    return scene.but(means=scene.means + torch.tensor([100.0, 0.0, 0.0]))


def same_depth(scene):
    return scene.but(means=scene.means * torch.tensor([1.0, 1.0, 0.0]))


def cut_off(scene):
    """A few large, round Gaussians that would show beyond the tiles of their radius."""
    few = {name: t[:30] for name, t in scene.inputs.items() if name != "backgrounds"}
    few |= {"scales": torch.full((30, 3), 0.15), "opacities": torch.full((30,), 0.98)}
    return scene.but(**few, width=150, height=110, Ks=scene.Ks * torch.tensor([2.2, 2.2, 1.0])[:, None])


def one_pixel(scene):
    return scene.but(width=1, height=1, Ks=scene.Ks * torch.tensor([1 / 70, 1 / 45, 1.0])[:, None])


def small(scene):
    return scene.but(width=17, height=5)


def none(scene):
    return scene.but(**{name: t[:0] for name, t in scene.inputs.items() if name != "backgrounds"})


@pytest.mark.parametrize(
    "change",
    [behind, around, huge, needles, transparent, opaque, outside, same_depth, cut_off, one_pixel, small, none],
    ids=lambda f: f.__name__,
)
def test_nasty_scenes_agree_with_reference(make_scene, change):
    scene = change(make_scene())
    assert_same(render(scene, "cpu", absgrad=True), render(scene, "reference", torch.float64, absgrad=True))


def test_thousands_in_one_pixel_agree_with_reference(make_scene):
    scene = make_scene(count=4000, width=20, height=20, size=0.01)
    scene = scene.but(means=scene.means * torch.tensor([0.01, 0.01, 1.0]), opacities=scene.opacities * 0.02)
    assert_same(render(scene, "cpu", absgrad=True), render(scene, "reference", torch.float64, absgrad=True))


def test_empty_view_shows_the_background(make_scene):
    scene = behind(make_scene())
    pictures, alphas, info, _ = render(scene, "cpu")
    assert torch.equal(pictures, scene.backgrounds[:, None, None].expand_as(pictures))
    assert not alphas.any()
    assert not info["radii"].any()


def test_gaussians_that_are_not_numbers_are_left_out(make_scene):
    scene = make_scene()
    means, quats = scene.means.clone(), scene.quats.clone()
    means[3], quats[5] = float("nan"), 0
    pictures, _, info, _ = render(scene.but(means=means, quats=quats), "cpu")
    assert info["radii"][0, 3] == 0
    assert pictures.isfinite().all()


def test_colors_of_each_camera(make_scene):
    scene = make_scene(cameras=2)
    own = torch.stack([scene.colors, 1 - scene.colors])
    both = render(scene.but(colors=own), "cpu")[0]
    one = render(scene.but(colors=1 - scene.colors), "cpu")[0]
    assert torch.equal(both[1], one[1])
    assert not torch.equal(both[0], one[0])


def test_number_of_threads_does_not_matter(make_scene):
    import numba

    if numba.config.NUMBA_NUM_THREADS < 2:
        pytest.skip("one thread alone")
    scene = make_scene(count=2000, width=130, height=90)
    results = []
    threads = numba.get_num_threads()
    for count in (1, 2):
        numba.set_num_threads(count)
        try:
            results.append(render(scene, "cpu", absgrad=True))
        finally:
            numba.set_num_threads(threads)
    one, two = results
    assert torch.equal(one[0], two[0])
    assert all(torch.equal(one[3][name], two[3][name]) for name in one[3])


def test_two_python_threads_render_at_once(make_scene):
    scenes = [make_scene(count=500, seed=seed) for seed in (1, 2)]
    expected = [render(scene, "cpu") for scene in scenes]
    results = [[], []]

    def work(i):
        results[i] = [render(scenes[i], "cpu") for _ in range(10)]

    threads = [threading.Thread(target=work, args=(i,)) for i in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for i in (0, 1):
        assert len(results[i]) == 10
        for result in results[i]:
            assert torch.equal(result[0], expected[i][0])
            assert all(torch.equal(result[3][name], expected[i][3][name]) for name in result[3])


@pytest.mark.parametrize("absgrad", [False, True])
def test_densification_of_gsplat_runs(make_scene, absgrad):
    from gsplat.strategy import DefaultStrategy

    scene = make_scene(count=50)
    values = {
        "means": scene.means,
        "scales": scene.scales.log(),
        "quats": scene.quats,
        "opacities": scene.opacities.logit(),
        "colors": scene.colors,
    }
    params = {name: torch.nn.Parameter(value.clone()) for name, value in values.items()}
    optimizers = {name: torch.optim.Adam([p], lr=1e-3) for name, p in params.items()}
    strategy = DefaultStrategy(
        refine_start_iter=1, refine_every=2, grow_grad2d=1e-6, absgrad=absgrad, refine_scale2d_stop_iter=100
    )
    strategy.check_sanity(params, optimizers)
    state = strategy.initialize_state(scene_scale=1.0)
    for step in range(1, 5):
        pictures, _, info = rasterize(
            params["means"],
            params["quats"],
            params["scales"].exp(),
            params["opacities"].sigmoid(),
            params["colors"],
            scene.viewmats,
            scene.Ks,
            scene.width,
            scene.height,
            absgrad=absgrad,
        )
        strategy.step_pre_backward(params, optimizers, state, step, info)
        pictures.square().sum().backward()
        strategy.step_post_backward(params, optimizers, state, step, info)
        for optimizer in optimizers.values():
            optimizer.step()
            optimizer.zero_grad()
    assert len(params["means"]) > 50


def test_means2d_need_no_gradient_when_only_colors_do(make_scene):
    scene = make_scene()
    colors = scene.colors.clone().requires_grad_()
    pictures, _, info = rasterize(
        scene.means, scene.quats, scene.scales, scene.opacities, colors, scene.viewmats, scene.Ks, 70, 45
    )
    assert not info["means2d"].requires_grad
    pictures.sum().backward()
    assert colors.grad.abs().sum() > 0


@pytest.mark.parametrize(
    ("changes", "options", "message"),
    [
        ({"quats": torch.zeros(120, 3)}, {}, r"quats has shape \[120, 3\], expected \[120, 4\]"),
        ({"opacities": torch.zeros(120, 1)}, {}, r"opacities has shape \[120, 1\]"),
        ({"colors": torch.zeros(7, 3)}, {}, r"colors has shape \[7, 3\], expected \[N, D\]"),
        ({"colors": torch.zeros(120, 4, 3)}, {"sh_degree": 2}, "sh_degree 2 needs 9 coefficients, got 4"),
        ({"backgrounds": torch.zeros(1, 4)}, {}, r"backgrounds has shape \[1, 4\], expected \[1, 3\]"),
        ({"means": torch.zeros(120, 3).double()}, {}, "means is torch.float64: only the reference backend"),
        ({"colors": torch.zeros(120, 3).double()}, {}, "colors is torch.float64"),
        ({"viewmats": torch.eye(4)[None].requires_grad_()}, {}, "viewmats require a gradient"),
        ({"means": torch.zeros(120, 3, device="meta")}, {}, "quats is on cpu, means on meta"),
        ({"width": 0}, {}, "0 x 45 pixels"),
        ({}, {"backend": "metal"}, "unknown backend 'metal'"),
        ({}, {"backend": "cuda"}, "the cuda backend needs tensors on cuda"),
        ({}, {"render_mode": "rgb"}, "unknown render_mode 'rgb'"),
        ({}, {"rasterize_mode": "fast"}, "unknown rasterize_mode 'fast'"),
    ],
)
def test_wrong_arguments(make_scene, changes, options, message):
    scene = make_scene().but(**changes)
    with pytest.raises(ValueError, match=message):
        rasterize(
            **scene.inputs, viewmats=scene.viewmats, Ks=scene.Ks, width=scene.width, height=scene.height, **options
        )


@pytest.mark.cuda
@pytest.mark.parametrize("channels", [3, 36])
@pytest.mark.parametrize("rasterize_mode", ["classic", "antialiased"])
def test_cuda_agrees_with_reference(make_scene, channels, rasterize_mode):
    scene = make_scene(channels=channels, cameras=2)
    options = {"rasterize_mode": rasterize_mode, "render_mode": "RGB+ED", "absgrad": True}
    got = render(scene, "cuda", device="cuda", **options)
    assert_same(got, render(scene, "reference", torch.float64, **options), image=1e-3, gradient=1e-3)
