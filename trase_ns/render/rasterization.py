"""Pictures of Gaussians: one call for all backends."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from trase_ns.scene.spherical_harmonics import evaluate

BACKENDS = ("auto", "cuda", "cpu", "reference")
RENDER_MODES = ("RGB", "D", "ED", "RGB+D", "RGB+ED")
RASTERIZE_MODES = ("classic", "antialiased")
TILE_SIZE = 16


def rasterize(
    means: Tensor,
    quats: Tensor,
    scales: Tensor,
    opacities: Tensor,
    colors: Tensor,
    viewmats: Tensor,
    Ks: Tensor,
    width: int,
    height: int,
    *,
    near_plane: float = 0.01,
    far_plane: float = 1e10,
    eps2d: float = 0.3,
    sh_degree: int | None = None,
    backgrounds: Tensor | None = None,
    render_mode: str = "RGB",
    rasterize_mode: str = "classic",
    absgrad: bool = False,
    backend: str = "auto",
) -> tuple[Tensor, Tensor, dict[str, Any]]:
    """Render N Gaussians into C pictures, with the names, rules and results of gsplat 1.4.0's `rasterization`.

    Differentiable in means, quats, scales, opacities, colors and backgrounds.

    Args:
        means: [N, 3] world positions.
        quats: [N, 4] rotations, wxyz, of any length.
        scales: [N, 3] standard deviations, linear, in world units.
        opacities: [N] in [0, 1].
        colors: [N, D] or [C, N, D] with any number of channels D; with `sh_degree` [N, K, 3] or [C, N, K, 3]
            coefficients of spherical harmonics, K at least (sh_degree + 1)^2.
        viewmats: [C, 4, 4] world to camera, OpenCV axes (x right, y down, z forward).
        Ks: [C, 3, 3] intrinsics in pixels; the centre of the first pixel is at (0.5, 0.5).
        width, height: image size in pixels.
        near_plane, far_plane: Gaussians whose depth is outside are left out.
        eps2d: added to the diagonal of the projected covariance, in square pixels.
        sh_degree: highest degree of the spherical harmonics to use.
        backgrounds: [C, D], black by default; depth has none.
        render_mode: "RGB" colours, "D" accumulated depth, "ED" expected depth, "RGB+D" or "RGB+ED" both.
        rasterize_mode: "antialiased" makes up for `eps2d` in the opacity.
        absgrad: in the backward pass set `info["means2d"].absgrad` [C, N, 2].
        backend: "cuda" (gsplat), "cpu" (float32), "reference" (plain torch, any dtype and device, slow), or "auto":
            "cuda" or "cpu" by the device of `means`.

    Returns:
        The pictures [C, H, W, X], where X is D, 1, or D + 1 with the depth last; the alphas [C, H, W, 1]; and a
        dictionary: means2d [C, N, 2], radii [C, N] int32 (0: not visible), depths [C, N], conics [C, N, 3],
        opacities [C, N], width, height, n_cameras, tile_size, tile_width, tile_height, and gaussian_ids and
        camera_ids, which are None.

    Raises:
        ValueError: arguments of wrong shape, type, device or name, or `viewmats` that require a gradient.
    """
    backend = check_arguments(means, quats, scales, opacities, viewmats, Ks, width, height, backend)
    _check_colors(means, colors, len(viewmats), sh_degree, backgrounds, render_mode, rasterize_mode)
    if backend == "cuda":
        from trase_ns.render import cuda

        return cuda.rasterize(
            means, quats, scales, opacities, colors, viewmats, Ks, width, height,
            near_plane=near_plane, far_plane=far_plane, eps2d=eps2d, sh_degree=sh_degree, backgrounds=backgrounds,
            render_mode=render_mode, rasterize_mode=rasterize_mode, absgrad=absgrad,
        )  # fmt: skip
    if backend == "cpu":
        from trase_ns.render.cpu import functions as steps
    else:
        from trase_ns.render import reference as steps

    means2d, cov2d, depths, radii = steps.project(
        means, quats, scales, viewmats, Ks, width, height, near_plane, far_plane, eps2d
    )
    view_opacities = opacities.expand(len(viewmats), -1)
    if rasterize_mode == "antialiased":
        view_opacities = view_opacities * compensation(cov2d, eps2d).to(opacities.dtype)
    info = {
        "camera_ids": None,
        "gaussian_ids": None,
        "radii": radii,
        "means2d": means2d,
        "depths": depths,
        "conics": conics(cov2d).to(means.dtype),
        "opacities": view_opacities,
        "width": width,
        "height": height,
        "n_cameras": len(viewmats),
        "tile_size": TILE_SIZE,
        "tile_width": math.ceil(width / TILE_SIZE),
        "tile_height": math.ceil(height / TILE_SIZE),
    }

    channels = []
    if render_mode.startswith("RGB"):
        channels.append(view_colors(means, colors, viewmats, sh_degree))
    if render_mode.endswith("D"):
        channels.append(depths[..., None])
    seen = channels[0] if len(channels) == 1 else torch.cat(channels, dim=-1)
    behind = seen.new_zeros(len(viewmats), seen.shape[-1])
    if backgrounds is not None and render_mode.startswith("RGB"):
        behind = torch.cat([backgrounds, behind[:, backgrounds.shape[1] :]], dim=1)
    pictures, alphas = steps.blend(
        means2d, cov2d, depths.detach(), radii, view_opacities, seen, behind, width, height, absgrad
    )
    if render_mode.endswith("ED"):
        expected = pictures[..., -1:] / alphas.clamp(min=1e-10)
        pictures = torch.cat([pictures[..., :-1], expected], dim=-1)
    return pictures, alphas, info


def view_colors(means: Tensor, colors: Tensor, viewmats: Tensor, sh_degree: int | None) -> Tensor:
    """Return the colours [C, N, D] that the cameras see; see `rasterize` for the arguments."""
    cameras = len(viewmats)
    if sh_degree is None:
        return colors.expand(cameras, -1, -1)
    shared = colors.dim() == 3
    rows = []
    for camera, viewmat in enumerate(viewmats):
        position = -viewmat[:3, :3].T @ viewmat[:3, 3]
        rows.append(evaluate(colors if shared else colors[camera], means - position, sh_degree))
    return torch.stack(rows)


def compensation(cov2d: Tensor, eps2d: float) -> Tensor:
    """Return the factor [...] on the opacity that makes up for `eps2d` in `cov2d` [..., 3]; see Mip-Splatting.

    The square root's gradient is held finite as in gsplat.
    """
    xx, xy, yy = cov2d.unbind(-1)
    det = xx * yy - xy * xy
    ratio = ((xx - eps2d) * (yy - eps2d) - xy * xy) / torch.where(det > 0, det, 1)
    ratio = ratio.clamp(min=0)
    root = ratio.detach().sqrt()
    return root + 0.5 / (root + 1e-6) * (ratio - ratio.detach())


def conics(cov2d: Tensor) -> Tensor:
    """Return the inverse covariances [..., 3] (xx, xy, yy), 0 where nothing is visible; without gradient."""
    xx, xy, yy = cov2d.detach().unbind(-1)
    det = xx * yy - xy * xy
    return torch.stack([yy, -xy, xx], dim=-1) / torch.where(det > 0, det, 1)[..., None]


def check_arguments(
    means: Tensor,
    quats: Tensor,
    scales: Tensor,
    opacities: Tensor,
    viewmats: Tensor,
    Ks: Tensor,
    width: int,
    height: int,
    backend: str,
) -> str:
    """Check the geometry and return the backend's name; see `rasterize`."""
    if backend not in BACKENDS:
        raise ValueError(f"unknown backend {backend!r}: choose one of {', '.join(BACKENDS)}")
    count, cameras = len(means), len(viewmats)
    shapes = {
        "means": (means, (count, 3)),
        "quats": (quats, (count, 4)),
        "scales": (scales, (count, 3)),
        "opacities": (opacities, (count,)),
        "viewmats": (viewmats, (cameras, 4, 4)),
        "Ks": (Ks, (cameras, 3, 3)),
    }
    for name, (tensor, shape) in shapes.items():
        if tuple(tensor.shape) != shape:
            raise ValueError(f"{name} has shape {list(tensor.shape)}, expected {list(shape)}")
        if tensor.device != means.device:
            raise ValueError(f"{name} is on {tensor.device}, means on {means.device}")
    if width < 1 or height < 1:
        raise ValueError(f"an image of {width} x {height} pixels has no pixel")
    if viewmats.requires_grad:
        raise ValueError("viewmats require a gradient: the pose cannot be optimised, detach them")
    if backend == "auto":
        backend = "cuda" if means.is_cuda else "cpu"
    if backend == "reference":
        return backend
    if means.device.type != backend:
        raise ValueError(f"the {backend} backend needs tensors on {backend}, means are on {means.device}")
    for name in ("means", "quats", "scales", "opacities"):
        if shapes[name][0].dtype != torch.float32:
            raise ValueError(f"{name} is {shapes[name][0].dtype}: only the reference backend computes in it")
    return backend


def _check_colors(
    means: Tensor,
    colors: Tensor,
    cameras: int,
    sh_degree: int | None,
    backgrounds: Tensor | None,
    render_mode: str,
    rasterize_mode: str,
) -> None:
    """Check the arguments that `check_arguments` leaves; see `rasterize`."""
    if render_mode not in RENDER_MODES:
        raise ValueError(f"unknown render_mode {render_mode!r}: choose one of {', '.join(RENDER_MODES)}")
    if rasterize_mode not in RASTERIZE_MODES:
        raise ValueError(f"unknown rasterize_mode {rasterize_mode!r}: choose one of {', '.join(RASTERIZE_MODES)}")
    for name, tensor in (("colors", colors), ("backgrounds", backgrounds)):
        if tensor is not None and (tensor.device != means.device or tensor.dtype != means.dtype):
            raise ValueError(f"{name} is {tensor.dtype} on {tensor.device}, means {means.dtype} on {means.device}")
    own = 2 if sh_degree is None else 3
    expected = "[N, D] or [C, N, D]" if sh_degree is None else "[N, K, 3] or [C, N, K, 3]"
    leading = colors.shape[: colors.dim() - own + 1]
    if leading not in ((len(means),), (cameras, len(means))) or (sh_degree is not None and colors.shape[-1] != 3):
        raise ValueError(
            f"colors has shape {list(colors.shape)}, expected {expected} with N = {len(means)} and C = {cameras}"
        )
    if sh_degree is not None and colors.shape[-2] < (sh_degree + 1) ** 2:
        raise ValueError(f"sh_degree {sh_degree} needs {(sh_degree + 1) ** 2} coefficients, got {colors.shape[-2]}")
    channels = colors.shape[-1]
    if backgrounds is not None and render_mode.startswith("RGB") and backgrounds.shape != (cameras, channels):
        raise ValueError(f"backgrounds has shape {list(backgrounds.shape)}, expected [{cameras}, {channels}]")
