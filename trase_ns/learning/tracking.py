"""Follows things that move too far between two moments for a gradient to see: by their colours, in all pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from trase_ns.render import contributions
from trase_ns.scene import quaternions
from trase_ns.scene.camera import Camera
from trase_ns.scene.gaussians import DynamicGaussians
from trase_ns.scene.motion_basis import MotionBasis, connected
from trase_ns.scene.spherical_harmonics import sh0_to_rgb

Views = Sequence[tuple[Camera, Tensor]]
"""Cameras and what they took at one moment, pictures [H, W, 3] in [0, 1]."""

# A body is searched for where its colours fit the pictures worse than they did by this factor and amount ...
_WORSE, _WORSE_BY = 1.15, 0.015
# ... and goes to another place only where they fit better than that by this factor.
_BETTER = 0.85
# Differences of colour over this say no more than that it is something else.
_OTHER = 0.3
# Gaussians of a body that are compared, at most and at least.
_SAMPLE, _FEWEST = 64, 4
# Candidates of each round of the search; each round looks closer around the best ones of the one before.
_ROUNDS, _CLOSER, _BEAM = (6144, 2048, 1024, 1024), 0.35, 24
# A body that fits no better than this factor of how it did is no rigid one: it is taken apart, at ever smaller gaps.
_NOT_RIGID = 1.3
_TOUCHES = (3.7, 2.8, 2.1)
# A search goes as far as this many sizes of the body, within a bound, or this many times what it moved before; world
# units of a scene of size one.
_SIZES, _NEAR, _SPEEDS, _FARTHEST = 6.0, 0.35, 2.2, 0.8
# Largest turn between two moments that is looked for, radians about each axis.
_TURN = 0.7
# A Gaussian belongs to a body if it follows one motion and can be seen.
_SHARE, _LOGIT_OPACITY = 0.4, -1.0


class Tracker:
    """Keeps rigid bodies in sight while training reaches new moments.

    When a moment comes in, each body is where it would be if it went on as before. Where the pictures show other
    colours there, places and turns around are tried, coarse to fine, and the body goes where it fits them. Moments of
    a single picture are left to the gradient: one picture does not tell how far away a thing is.

    Args:
        views: returns the views of the moment of a key time, by its index and the number of key times.
    """

    def __init__(self, views: Callable[[int, int], Views]):
        self._views = views
        self._fits: dict[int, float] = {}
        self._seen: tuple[Tensor, Tensor] | None = None  # means, and how much of each was seen

    @torch.no_grad()
    def follow(self, scene: DynamicGaussians, reach: tuple[float, float] | None) -> None:
        """Let the motions of `scene` reach the moments that are trained on.

        Args:
            scene: a scene whose field is a `MotionBasis`; its motions are changed.
            reach: first and last moment, or None when all moments are reached: then what is lost is looked for once
                more.
        """
        field = scene.field
        assert isinstance(field, MotionBasis)
        low, high = field.reached.tolist()
        if reach is None:
            if (low, high) == (0, field.keys - 1):
                middle = field.keys // 2
                for key in (*range(middle + 1, field.keys), *range(middle - 1, -1, -1)):
                    self._find(scene, key, key - 1 if key > middle else key + 1)
                field.reached.fill_(-1)
            return
        first, last = (round(time * (field.keys - 1)) for time in reach)
        if low < 0:
            low, high = first, last
            field.reach(first, last)
        start = low == high
        for key in range(low - 1, first - 1, -1):
            if key + 2 <= high:  # what the latest moment lost since it came in
                self._find(scene, key + 1, key + 2)
                field.reach(key + 1, high)
            self._find(scene, key, key + 1, split=start)
        low = min(low, first)
        for key in range(high + 1, last + 1):
            if key - 2 >= low:
                self._find(scene, key - 1, key - 2)
                field.reach(low, key - 1)
            self._find(scene, key, key - 1, split=start)
        if field.reached.tolist() != [first, last]:
            field.reach(first, last)
            field.reached[:] = torch.tensor([first, last])

    def _find(self, scene: DynamicGaussians, key: int, before: int, split: bool = False) -> None:
        """Put the bodies that `key` does not show where they were expected to where they are.

        At key time `before` they are in place. With `split` a body that does not move as one is taken apart.
        """
        field = scene.field
        assert isinstance(field, MotionBasis)
        assert scene.motion is not None
        views, views_before = self._views(key, field.keys), self._views(before, field.keys)
        if len(views) < 2 or len(views_before) < 2 or bool((field.bodies < 0).all()):
            return
        now, then = (scene.at(k / (field.keys - 1)) for k in (key, before))
        # Of the sides that were seen the colours are known; densification puts other Gaussians in their places.
        if self._seen is None or self._seen[0].data_ptr() != scene.means.data_ptr():
            weights = [contributions(then, camera.scaled(0.5)).column_sums() for camera, _ in views_before]
            self._seen = scene.means, torch.stack(weights).sum(0)
        seen = self._seen[1]
        colors = sh0_to_rgb(scene.sh0).clamp(0, 1)
        generator = torch.Generator().manual_seed(key)
        waiting = list(range(int(field.bodies.max()) + 1))
        while waiting:
            number = waiting.pop(0)
            shares, owners = scene.motion.softmax(dim=1).max(dim=1)
            solid = (shares > _SHARE) & (scene.logit_opacities > _LOGIT_OPACITY)
            members = torch.nonzero(solid & (field.bodies[owners] == number))[:, 0]
            members = members[seen[members].argsort(descending=True)[:_SAMPLE]]
            if len(members) < _FEWEST:
                continue
            color, points, was = colors[members], now.means[members], then.means[members]
            fits = min(float(_misfit(was[None], color, views_before)), self._fits.get(number, 1.0))
            self._fits[number] = fits
            found = float(_misfit(points[None], color, views))
            if found < _WORSE * fits + _WORSE_BY:
                continue
            size = float((was - was.mean(0)).norm(dim=1).mean())
            speed = float((points - was).mean(0).norm())
            radius = min(max(min(_SIZES * size, _NEAR), _SPEEDS * speed), _FARTHEST)
            turn, shift, misfit = _search(points, was.mean(0), color, views, radius, generator)
            if misfit > _NOT_RIGID * fits + _WORSE_BY and split:
                parts = self._split(scene, owners, number)
                if parts:
                    waiting += parts
                    continue
            if misfit < _BETTER * found:
                field.carry(key, torch.nonzero(field.bodies == number)[:, 0], turn, points.mean(0), shift)

    def _split(self, scene: DynamicGaussians, owners: Tensor, number: int) -> list[int]:
        """Take a body apart that does not move as one, where it is thinnest; return the numbers of its parts."""
        field = scene.field
        assert isinstance(field, MotionBasis)
        assert scene.motion is not None
        inside = field.bodies[owners] == number
        for touch in _TOUCHES:
            part = connected(scene.means, inside, touch)
            count = int(part.max()) + 1
            if count < 2:
                continue
            # What is between parts is of the nearest.
            loose = torch.nonzero(inside & (part < 0))[:, 0]
            sure = torch.nonzero(part >= 0)[:, 0]
            part[loose] = part[sure[torch.cdist(scene.means[loose], scene.means[sure]).argmin(1)]]
            highest = int(field.bodies.max())
            numbers = [number, *range(highest + 1, highest + count)]
            field.bodies[field.bodies == number] = -1
            for i, name in enumerate(numbers):
                field.confine(scene.motion, scene.means, owners, part == i, name)
                self._fits.pop(name, None)
            return numbers
        return []


def _search(
    points: Tensor, before: Tensor, colors: Tensor, views: Views, radius: float, generator: torch.Generator
) -> tuple[Tensor, Tensor, float]:
    """Return the turn [4] about the middle of `points` and the shift [3] that fit the pictures best, and how well.

    Looked for within `radius` of where the points are and of `before`, where their middle was: things stop and bounce.
    """
    pivot = points.mean(0)
    beam = points.new_zeros(2, 6)
    beam[1, :3] = before - pivot
    spread = points.new_tensor([radius] * 3 + [_TURN] * 3)
    for count in _ROUNDS:
        around = beam.repeat(-(-count // len(beam)), 1)
        draws = torch.rand(around.shape, generator=generator).to(beam)
        candidates = torch.cat([beam, around + spread * (2 * draws - 1)])
        turns = quaternions.normalise(torch.cat([torch.ones_like(candidates[:, :1]), candidates[:, 3:] / 2], dim=1))
        moved = (points - pivot) @ quaternions.to_matrix(turns).mT + (pivot + candidates[:, :3])[:, None]
        misfits = _misfit(moved, colors, views)
        # Of places that fit alike, the nearer one.
        order = (misfits + 0.01 * candidates[:, :3].norm(dim=1) / radius).argsort()[:_BEAM]
        beam, spread = candidates[order], spread * _CLOSER
    return turns[order[0]], beam[0, :3], float(misfits[order[0]])


def _misfit(points: Tensor, colors: Tensor, views: Views) -> Tensor:
    """Mean difference between `colors` [G, 3] and what the pictures show at `points` [K, G, 3], [K]."""
    differences = []
    for camera, picture in views:
        local = points @ camera.viewmat[:3, :3].T + camera.viewmat[:3, 3]
        pixels = (local @ camera.K.T)[..., :2] / local[..., 2:].clamp_min(1e-3)
        size = pixels.new_tensor([camera.width, camera.height])
        shown = functional.grid_sample(
            picture.permute(2, 0, 1)[None], (pixels / size * 2 - 1)[None], align_corners=False, padding_mode="border"
        )[0]
        difference = (shown.permute(1, 2, 0) - colors).abs().mean(-1).clamp(max=_OTHER)
        outside = ((pixels < 0) | (pixels > size)).any(-1) | (local[..., 2] <= 0)
        differences.append(torch.where(outside, _OTHER, difference).mean(-1))
    # A thing may be hidden in some.
    ordered = torch.stack(differences).sort(dim=0).values
    return ordered[: max(1, (3 * len(differences) + 3) // 4)].mean(0)
