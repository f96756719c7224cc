"""How much of each Gaussian a view shows, and where."""

from __future__ import annotations

import torch
from torch import Tensor

from trase_ns.scene.camera import Camera
from trase_ns.scene.gaussians import Gaussians


def visible_weight(gaussians: Gaussians, camera: Camera, pixels: Tensor | None = None) -> Tensor:
    """Sum up each Gaussian's blending weights over pixels: W^T P for the matrix W of `contributions`.

    A picture is W times colours, so that the gradient with respect to them is W^T. No matrix is made: memory does not
    grow with what is behind each pixel, and the whole view takes little longer than to render it.

    Args:
        gaussians: N Gaussians at the camera's time.
        camera: the view, on any device.
        pixels: [H, W, C] how much each pixel counts, for C sums at once; by default one sum over all pixels.

    Returns:
        [N, C] float32 in pixels, on the device of the Gaussians.
    """
    from trase_ns.render import render_view

    means = gaussians.means
    if pixels is None:
        pixels = means.new_ones(camera.height, camera.width, 1)
    colors = means.new_zeros(len(gaussians), pixels.shape[-1], requires_grad=True)
    with torch.enable_grad():
        picture = render_view(gaussians, camera, colors).color
        (sums,) = torch.autograd.grad(picture, colors, pixels.to(picture))
    return sums
