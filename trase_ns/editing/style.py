"""Style transfer: the selected Gaussians take the look of a picture, by their colours alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import interpolate, normalize

from trase_ns.editing.color_match import covariance, linear_match
from trase_ns.editing.style_views import SMALLEST, SelectionView, view_selection
from trase_ns.errors import UserError
from trase_ns.learning.vgg import LAYERS, load_vgg16
from trase_ns.scene.camera import Camera
from trase_ns.scene.gaussians import DynamicGaussians
from trase_ns.scene.spherical_harmonics import C0

# Sides of pictures that VGG16 can look at, pixels.
SMALLEST_PICTURE, LARGEST = 32, 2048
# Cells of features that are matched at once.
_MATCH_BLOCK = 1024


@dataclass(frozen=True)
class StyleConfig:
    """How a style is transferred."""

    steps: int = 300
    """Steps of the optimizer; each looks at one view."""
    layer: str = "conv4_1"
    """Layer of VGG16 whose features are compared; earlier ones give finer patterns and are slower to match."""
    content_weight: float = 0.05
    """Weight of the loss that keeps the features of the selection as they were; 0: the style alone."""
    learning_rate: float = 0.05
    """Step of the coefficients of degree 0, falling to a tenth; the higher degrees take a twentieth of it."""
    spill_weight: float = 50.0
    """Weight of the loss that keeps what shines through the selection's fringes as it was."""
    longest: int = 256
    """Longest side of the selection in a view, in pixels, whatever the camera's own resolution."""
    picture_longest: int = 256
    """Longest side of the picture, in pixels: halve it to halve the size of the strokes."""
    views: int = 12
    """Views that are looked at, spread evenly over the cameras."""
    colors: Literal["picture", "own"] = "picture"
    """Whose mean and covariance the selection's colours have in the end: the picture's or their own."""
    memory_gb: float = 1.0
    """Memory for blending weights; where it is too small there are fewer views."""
    seed: int = 0
    """Decides the order of the views."""
    vgg_weights: Path | None = None
    """VGG16's weights; by default they are downloaded once."""

    def __post_init__(self):
        for name in ("steps", "views"):
            if getattr(self, name) < 1:
                raise UserError(f"style transfer: {name} must be 1 or more, but is {getattr(self, name)}.")
        for name in ("longest", "picture_longest"):
            if not SMALLEST <= getattr(self, name) <= LARGEST:
                raise UserError(
                    f"style transfer: {name} must be {SMALLEST} to {LARGEST}, but is {getattr(self, name)}."
                )
        for name in ("learning_rate", "memory_gb"):
            if not 0 < getattr(self, name) < float("inf"):
                raise UserError(f"style transfer: {name} must be above 0, but is {getattr(self, name)}.")
        for name in ("content_weight", "spill_weight"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise UserError(f"style transfer: {name} must be 0 or more, but is {getattr(self, name)}.")
        if self.layer not in LAYERS:
            raise UserError(f"VGG16 has no layer {self.layer!r}: take one of {', '.join(LAYERS)}.")
        if self.colors not in ("picture", "own"):
            raise UserError(f"style transfer: colors must be picture or own, but is {self.colors!r}.")


class StyleTransfer:
    """Gives the look of a picture to selected Gaussians of a moving scene.

    Only their spherical harmonics change: the picture of a view is W c, with the blending weights W of the frozen
    geometry at the view's time and the colours c in its direction, so a step rasterizes nothing. It lowers the
    nearest-neighbour feature matching loss of ARF (Zhang et al. 2022), as StyleSplat (Jain et al. 2024) and TRASE do.

    Args:
        scene: the scene; what hides the selection is respected.
        mask: bool [N], the selected Gaussians.
        picture: [H, W, 3] float in [0, 1], sRGB.
        cameras: views to look at the selection from, at their times.
        config: sizes, weights and steps.

    Raises:
        UserError: nothing is selected, there is no camera, the picture is none, or VGG16's weights cannot be had.
    """

    def __init__(
        self,
        scene: DynamicGaussians,
        mask: Tensor,
        picture: Tensor,
        cameras: list[Camera],
        config: StyleConfig | None = None,
    ):
        if mask.shape != (len(scene),) or mask.dtype != torch.bool:
            raise ValueError(f"mask is {mask.dtype} {list(mask.shape)}, expected bool [{len(scene)}]")
        self.config = config or StyleConfig()
        if not bool(mask.any()):
            raise UserError("style transfer: nothing is selected. Select an object first.")
        if not cameras:
            raise UserError("style transfer: there is no camera to look at the selection from.")
        _check_picture(picture)
        self._scene = scene.detach()
        self._mask = mask.to(scene.device)
        self._picture = _shrunk(picture.detach().float(), self.config.picture_longest).to(scene.device)
        self._cameras = [camera.to(scene.device) for camera in cameras]
        self._network = load_vgg16(self.config.layer, self.config.vgg_weights, scene.device)

    def run(
        self,
        progress: Callable[[int, int, float], None] | None = None,
        cancelled: Callable[[], bool] | None = None,
        preview: Callable[[Tensor], None] | None = None,
        preview_every: int = 25,
    ) -> Tensor | None:
        """Transfer the style; the scene itself is not touched.

        The callbacks are called from this thread.

        Args:
            progress: called after each step with the steps done, all steps and the loss.
            cancelled: asked before each view and each step; once it says yes, nothing more is done.
            preview: called every `preview_every` steps with the coefficients so far, like the result.
            preview_every: steps between two previews.

        Returns:
            float32 [R, K, 3], the new spherical harmonics of the R selected Gaussians in their order (degree 0 first),
            or None if it was cancelled.

        Raises:
            UserError: no camera sees enough of the selection.
        """
        config, stop = self.config, cancelled or (lambda: False)
        views = self._views(stop)
        if views is None:
            return None
        original = torch.cat([self._scene.sh0[:, None], self._scene.sh_rest], dim=1)[self._mask].float()
        target, style = self._target(views, original)
        solidity = _solidity(views)
        start = _match(views, solidity, original, *target)
        with torch.no_grad():
            contents = [self._network(view.picture(start)) for view in views]
        with torch.inference_mode(False), torch.enable_grad():
            base, rest = start[:, :1].clone().requires_grad_(), start[:, 1:].clone().requires_grad_()
            rates = [
                {"params": [base], "lr": config.learning_rate},
                {"params": [rest], "lr": config.learning_rate / 20},
            ]
            optimizer = torch.optim.Adam(rates, eps=1e-15)
            schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 0.1 ** (step / config.steps))
            for step, index in enumerate(_order(len(views), config.steps, config.seed)):
                if stop():
                    return None
                view, content = views[index], contents[index]
                picture = view.picture(torch.cat([base, rest], dim=1))
                features = self._network(picture)
                loss = nnfm(features.flatten(0, 1)[view.cells], style, view.shares)
                loss = loss + config.content_weight * view.change(features, content)
                loss = loss + config.spill_weight * view.spill(picture)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                _clamp(base.data)
                schedule.step()
                if progress is not None:
                    progress(step + 1, config.steps, float(loss.detach()))
                if preview is not None and (step + 1) % preview_every == 0:
                    preview(_match(views, solidity, torch.cat([base, rest], dim=1).detach(), *target))
            return _match(views, solidity, torch.cat([base, rest], dim=1).detach(), *target)

    def _target(self, views: list[SelectionView], sh: Tensor) -> tuple[tuple[Tensor, Tensor], Tensor]:
        """Mean and covariance that the selection's colours shall have, and the features [S, C] of the picture."""
        picture = self._picture.flatten(0, 1)
        target = covariance(picture)
        if self.config.colors == "own":
            # The picture in the object's colours (Gatys et al. 2016, section 3), so that features ask for no others.
            target = covariance(*_colors(views, sh))
            matrix, offset = linear_match(*covariance(picture), *target)
            picture = (picture @ matrix.T + offset).clamp(0, 1)
        with torch.no_grad():
            return target, self._network(picture.reshape(self._picture.shape)).flatten(0, 1)

    @torch.no_grad()
    def _views(self, stop: Callable[[], bool]) -> list[SelectionView] | None:
        """Views that show the selection, evenly spread over the cameras, as many as asked for and memory allows."""
        found: list[SelectionView] = []
        free = int(self.config.memory_gb * 1e9)
        for index in _spread(len(self._cameras)):
            if stop():
                return None
            view = view_selection(
                self._scene, self._mask, self._cameras[index], self.config.longest, self._network.stride
            )
            if view is None:
                continue
            free -= view.nbytes
            if found and free < 0:
                break
            found.append(view)
            if len(found) == self.config.views:
                break
        if not found:
            raise UserError(
                "style transfer: no camera sees enough of the selection. Choose cameras that do, or select more."
            )
        return found


def nnfm(features: Tensor, style: Tensor, shares: Tensor) -> Tensor:
    """Return the nearest-neighbour feature matching loss (ARF, equation 1), averaged with weights.

    Args:
        features: [Q, C] of the rendered picture.
        style: [S, C] of the style picture.
        shares: [Q] weights, not negative, not all 0.

    Returns:
        mean over `features` of the cosine distance to the nearest of `style`, differentiable in `features`.
    """
    features, style = normalize(features, dim=1), normalize(style, dim=1)
    with torch.no_grad():  # in blocks: a shallow layer has ten thousand cells on each side
        nearest = torch.cat([(block @ style.T).argmax(dim=1) for block in features.split(_MATCH_BLOCK)])
    distances = 1 - (features * style[nearest]).sum(dim=1)
    return (shares * distances).sum() / shares.sum()


def _colors(views: list[SelectionView], sh: Tensor) -> tuple[Tensor, Tensor]:
    """Colours [P, 3] of the pixels of all views that the selection covers, and how much it does [P]."""
    found = [view.covered(sh) for view in views]
    return torch.cat([colors for colors, _ in found]), torch.cat([alpha for _, alpha in found])


def _solidity(views: list[SelectionView]) -> Tensor:
    """Share of each Gaussian's weight [R] in pixels that the selection covers, less the share in others.

    At least 0; 1 for those never seen.
    """
    inside, outside = (torch.stack([view.weight_where(covered) for view in views]).sum(0) for covered in (True, False))
    return torch.where(inside + outside > 0, (inside - outside) / (inside + outside).clamp_min(1e-12), 1.0).clamp_min(0)


def _match(views: list[SelectionView], solidity: Tensor, sh: Tensor, mean: Tensor, covariances: Tensor) -> Tensor:
    """Coefficients `sh` [R, K, 3] after the linear map of colours that gives them a mean and a covariance as seen.

    A Gaussian takes as much of the map as it is solid: in the fringe it would tint what is behind it.
    """
    matrix, offset = linear_match(*covariance(*_colors(views, sh)), mean, covariances)
    matched = sh @ matrix.T
    grey = torch.full_like(offset, 0.5)  # spherical harmonics are offset by it
    matched[:, 0] += (matrix @ grey + offset - grey) / C0
    matched = torch.lerp(sh, matched, solidity[:, None, None])
    _clamp(matched[:, :1])
    return matched


def _clamp(base: Tensor) -> None:
    """Keep coefficients of degree 0 to colours in [0, 1], in place: beyond, faint Gaussians would glow."""
    base.clamp_(-0.5 / C0, 0.5 / C0)


def _spread(count: int) -> list[int]:
    """0 ... count - 1 in an order whose beginnings are spread evenly: by the mirrored binary digits."""
    digits = max(1, (count - 1).bit_length())
    return sorted(range(count), key=lambda i: f"{i:0{digits}b}"[::-1])


def _order(views: int, steps: int, seed: int) -> list[int]:
    """The view of each step: all in turn, shuffled anew in every round."""
    generator = torch.Generator().manual_seed(seed)
    rounds = -(-steps // views)
    return torch.cat([torch.randperm(views, generator=generator) for _ in range(rounds)])[:steps].tolist()


def _check_picture(picture: Tensor) -> None:
    if picture.dim() != 3 or picture.shape[2] != 3 or not picture.is_floating_point():
        raise UserError(f"style picture: {picture.dtype} {list(picture.shape)}, expected floats [H, W, 3].")
    if min(picture.shape[:2]) < SMALLEST_PICTURE:
        size = f"{picture.shape[1]} x {picture.shape[0]}"
        raise UserError(f"style picture: {size} pixels are too few; each side needs {SMALLEST_PICTURE}.")
    if not bool(((picture >= 0) & (picture <= 1)).all()):  # NaN is outside as well
        raise UserError("style picture: its values must lie in [0, 1].")


def _shrunk(picture: Tensor, longest: int) -> Tensor:
    """The picture with its longest side at most `longest`, each at least SMALLEST_PICTURE."""
    height, width = picture.shape[:2]
    factor = min(1.0, longest / max(height, width))
    size = [max(SMALLEST_PICTURE, round(side * factor)) for side in (height, width)]
    if factor == 1.0:
        return picture
    small = interpolate(picture.permute(2, 0, 1)[None], size=size, mode="bilinear", antialias=True)
    return small[0].permute(1, 2, 0).clamp(0, 1)
