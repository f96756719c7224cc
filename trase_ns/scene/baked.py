"""A deformation as key times with interpolation: playback and export without evaluating a field."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from trase_ns.scene import quaternions
from trase_ns.scene.field import Field
from trase_ns.scene.gaussians import DynamicGaussians


class KeyTimes(Field):
    """The field of a baked scene: every Gaussian goes straight from its place at one key time to that at the next.

    The changes themselves are the scene's `motion`, [N, T, 10]: mean 3, quaternion 4, log scales 3, to be added.

    Args:
        times: [T] key times in ascending order, at least one.
    """

    kind = "keys"

    times: Tensor

    def __init__(self, times: Tensor) -> None:
        super().__init__()
        if times.ndim != 1 or not len(times) or not times.is_floating_point() or not bool((times.diff() > 0).all()):
            raise ValueError("key times must be floats [T] in ascending order, at least one")
        self.register_buffer("times", times)

    def move(
        self, means: Tensor, quats: Tensor, log_scales: Tensor, motion: Tensor | None, time: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return means [N, 3], quaternions [N, 4] and log scales [N, 3] at `time`; before the first key time as at it,
        after the last as at that."""
        assert motion is not None
        after = int((self.times < time).sum())
        if after in (0, len(self.times)):
            change = motion[:, min(after, len(self.times) - 1)].to(means.dtype)
        else:
            start, end = float(self.times[after - 1]), float(self.times[after])
            change = torch.lerp(
                motion[:, after - 1].to(means.dtype), motion[:, after].to(means.dtype), (time - start) / (end - start)
            )
        d_means, d_quats, d_log_scales = change.split([3, 4, 3], dim=1)
        return means + d_means, quats + d_quats, log_scales + d_log_scales

    @classmethod
    def from_state(cls, spec: dict[str, Any], tensors: dict[str, Tensor]) -> KeyTimes:
        """See `Field.from_state`; the times alone make the field."""
        if spec or tensors.keys() != {"times"}:
            raise ValueError("a field of kind 'keys' has times and nothing else")
        return cls(tensors["times"])

    def check_motion(self, motion: Tensor | None, gaussians: int) -> None:
        """See `Field.check_motion`: the changes at each key time, float [N, T, 10]."""
        shape = (gaussians, len(self.times), 10)
        if motion is None or motion.shape != shape or not motion.is_floating_point():
            raise ValueError(f"motion must be floats {list(shape)}")


@dataclass(frozen=True)
class Baked:
    """A baked scene and how well it follows the original.

    Attributes:
        scene: the baked scene.
        error: largest distance, in world units, by which a point of a Gaussian's ellipsoid (at one standard deviation)
            is elsewhere than in the original, at moments between the key times that the baking did not look at.
        within: whether the error that was asked for was reached everywhere with the keys that were allowed.
    """

    scene: DynamicGaussians
    error: float
    within: bool

    @property
    def keys(self) -> int:
        """Number of key times."""
        assert isinstance(self.scene.field, KeyTimes)
        return len(self.scene.field.times)


@torch.no_grad()
def bake(scene: DynamicGaussians, tolerance: float, max_keys: int = 256, half: bool = True) -> Baked:
    """Sample the deformation of `scene` at as few key times as keep it within `tolerance`.

    Intervals of time are halved as long as a Gaussian strays in their middle by more than half of the tolerance;
    the error is then measured at other moments.

    Args:
        scene: a moving scene.
        tolerance: distance in world units that a point of a Gaussian may be off, larger than 0.
        max_keys: bound on the number of key times, at least 2; it bounds the memory, N x keys x 20 bytes.
        half: keep the changes in half precision.

    Raises:
        ValueError: the scene is at rest, or a number is out of range.
    """
    if scene.field is None:
        raise ValueError("the scene is at rest: there is nothing to bake")
    if tolerance <= 0 or max_keys < 2:
        raise ValueError("tolerance must be larger than 0 and max_keys at least 2")
    base = scene.detach()
    samples = {time: _moved(base, time) for time in (0.0, 1.0)}
    waiting = [(0.0, 1.0)]
    while waiting and len(samples) < max_keys:
        # Breadth first, so that a bound on the keys is spent on all of the time.
        start, end = waiting.pop(0)
        middle = (start + end) / 2
        exact = _moved(base, middle)
        between = torch.lerp(samples[start], _aligned(samples[end], samples[start]), 0.5)
        # At least at eighths: what swings may be back in the middle.
        if end - start > 1 / 8 or _distance(between, exact) > tolerance / 2:
            samples[middle] = exact
            waiting += [(start, middle), (middle, end)]
    times = sorted(samples)
    rest = torch.cat([base.means, base.quats, base.log_scales], dim=1)
    before, changes = rest, []
    for time in times:
        before = _aligned(samples.pop(time), before)
        changes.append(before - rest)
    motion = torch.stack(changes, dim=1)
    baked = replace(base, field=KeyTimes(torch.tensor(times, device=base.device, dtype=torch.float64)))
    baked = replace(baked, motion=motion.half() if half else motion)
    probes = [start + share * (end - start) for start, end in zip(times, times[1:]) for share in (0.29, 0.64)]
    error = max(_distance(_moved(baked, time), _moved(base, time)) for time in probes)
    return Baked(baked, error, error <= tolerance)


def _moved(scene: DynamicGaussians, time: float) -> Tensor:
    """Means, unit quaternions and log scales at `time`, [N, 10]."""
    assert scene.field is not None
    means, quats, log_scales = scene.field.move(scene.means, scene.quats, scene.log_scales, scene.motion, time)
    return torch.cat([means, quaternions.normalise(quats), log_scales], dim=1)


def _aligned(moved: Tensor, other: Tensor) -> Tensor:
    """`moved` [N, 10] with the one of the two quaternions of each rotation that is nearer to that of `other`."""
    sign = torch.where((moved[:, 3:7] * other[:, 3:7]).sum(1, keepdim=True) < 0, -1.0, 1.0)
    return torch.cat([moved[:, :3], sign * moved[:, 3:7], moved[:, 7:]], dim=1)


def _distance(a: Tensor, b: Tensor) -> float:
    """Largest distance between where `a` and `b` [N, 10] put a point of the same Gaussian's ellipsoid, at most."""
    if not len(a):
        return 0.0
    axes = [quaternions.to_matrix(m[:, 3:7]) * m[:, None, 7:].exp() for m in (a, b)]
    strayed = (a[:, :3] - b[:, :3]).norm(dim=1) + (axes[0] - axes[1]).flatten(1).norm(dim=1)
    return float(strayed.max())
