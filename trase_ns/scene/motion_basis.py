"""The fast deformation field: a few rigid motions that all Gaussians share, each Gaussian its own blend of them."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from trase_ns.scene import quaternions
from trase_ns.scene.field import Field

# Logit of the share of every motion but those near a Gaussian, at the start.
_FARTHEST = 8.0
# Logit of the motions of another body: even all of them together must not drag anything along.
_FOREIGN = 12.0
# Logit of rest for what does not seem to move; its negative for what does.
_REST = 2.0
# How far two colours are apart, in half sizes of the scene.
_COLOR = 0.3
# Weight that what does not seem to move has in the choice of centres.
_LEAST = 0.003
# Gaussians move from this evidence on; they are of one body if they lie within this many of the usual distances, and a
# body has at least so many.
_MOVING, _TOUCH, _FEWEST = 0.15, 5.0, 4
# Changes of speed over this are bounces; world units of a scene of size one.
_BOUNCE = 0.05
# How sharply what a motion moves ends half-way to the next.
_SHARP = 4.0


class MotionBasis(Field):
    """Rigid motions over time, blended for each Gaussian by weights of its own.

    A motion is a shift and a turn about a centre at each of `keys` key times, evenly spaced over [0, 1], with cubic
    (Catmull-Rom) interpolation between them. A Gaussian has a logit for each motion; their softmax blends the motions
    as linear blend skinning does. Evaluation is one small matrix product for all Gaussians, where an MLP has one for
    each of its layers. As in Shape of Motion (Wang et al. 2024), but with centres and without tracks.

    The first motion is rest, always.

    Args:
        motions: number of motions, B, rest among them.
        keys: number of key times, T, at least 2.
    """

    kind = "basis"
    limits: ClassVar[dict[str, tuple[int, int]]] = {"motions": (1, 65536), "keys": (2, 65536)}

    centres: Tensor
    bodies: Tensor
    reached: Tensor

    def __init__(self, motions: int = 64, keys: int = 32) -> None:
        super().__init__()
        self.shifts = nn.Parameter(torch.zeros(keys, motions, 3))
        self.turns = nn.Parameter(torch.tensor([1.0, 0.0, 0.0, 0.0]).repeat(keys, motions, 1))
        self.register_buffer("centres", torch.zeros(motions, 3))
        self.register_buffer("bodies", torch.full((motions,), -1))
        self.register_buffer("reached", torch.tensor([-1, -1]))

    @property
    def motions(self) -> int:
        """Number of motions, B."""
        return self.shifts.shape[1]

    @property
    def keys(self) -> int:
        """Number of key times, T."""
        return self.shifts.shape[0]

    @torch.no_grad()
    def place(self, means: Tensor, colors: Tensor, moving: Tensor, seed: int = 0) -> Tensor:
        """Lay the motions out over what moves and return the logits [N, B] of the motions of each Gaussian.

        Gaussians that move and touch form a body. A body has motions of its own, that nothing else follows: a thing
        that is half left behind smears. What lies in no body rests, but may learn to follow the motions around it.

        Args:
            means: [N, 3] positions in canonical space.
            colors: [N, 3] in [0, 1]; a motion is for what lies close together and has about the same colour.
            moving: [N] how likely each Gaussian is to move, in [0, 1].
            seed: of the choice of centres.
        """
        from sklearn.cluster import KMeans

        spread = (means - means.median(0).values).norm(dim=1).median()
        points = torch.cat([means, _COLOR * spread * colors], dim=1)
        clusters = KMeans(self.motions - 1, n_init=1, random_state=seed, max_iter=50)  # type: ignore[arg-type]
        clusters.fit(points.numpy(force=True), sample_weight=(moving.square() + _LEAST).numpy(force=True))
        centres = torch.from_numpy(clusters.cluster_centers_).to(means)
        self.centres[1:] = centres[:, :3]
        spacing = torch.cdist(centres, centres).topk(2, largest=False).values[:, 1].clamp_min(1e-6)
        logits = (-_SHARP * (torch.cdist(points, centres) / spacing).square()).clamp_min(-_FARTHEST)
        rest = (_REST * (1 - 2 * moving))[:, None]

        logits = torch.cat([rest, logits], dim=1)
        body = connected(means, moving > _MOVING)
        owners = 1 + torch.from_numpy(clusters.labels_).to(means.device).long()
        for number in range(int(body.max()) + 1):
            self.confine(logits, means, owners, body == number, number)
        # What is in no body must not follow one.
        logits[body < 0] = torch.where(self.bodies >= 0, -_FOREIGN, logits[body < 0])
        return logits

    @torch.no_grad()
    def confine(self, logits: Tensor, means: Tensor, owners: Tensor, members: Tensor, number: int) -> None:
        """Make Gaussians a body: give it motions of its own, and let its Gaussians follow no others.

        Args:
            logits: [N, B] of all Gaussians, changed in place.
            means: [N, 3] their positions.
            owners: int64 [N] the motion that each follows so far.
            members: bool [N] the Gaussians of the body.
            number: of the body.
        """
        total = torch.bincount(owners, minlength=self.motions)
        counts = torch.bincount(owners[members], minlength=self.motions)
        mine = counts > total / 2
        mine[0] = False
        if not mine.any():  # take one that nobody needs
            used = torch.where(self.bodies >= 0, total.max() + 1, total)
            used[0] = total.max() + 2
            mine[used.argmin()] = True
            self.centres[mine] = means[members].mean(0)
        self.bodies[mine] = number
        distances = torch.cdist(means[members], self.centres[mine])
        inside = logits[members].fill_(-_FOREIGN)
        scale = distances.min(1).values.median().clamp_min(1e-6)
        own = -_SHARP * (distances / (2 * scale)).square()
        inside[:, mine] = (own - own.max(1, keepdim=True).values).clamp_min(-_FARTHEST)
        logits[members] = inside

    def move(
        self, means: Tensor, quats: Tensor, log_scales: Tensor, motion: Tensor | None, time: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return means, quaternions and log scales at `time`; differentiable.

        Args:
            means: [N, 3] positions in canonical space.
            quats: [N, 4] rotations, wxyz, of any length.
            log_scales: [N, 3] natural logarithms of the scales; they do not change.
            motion: [N, B] logits of the motions.
            time: moment in [0, 1].
        """
        assert motion is not None
        shifts, turns = (self._interpolated(values, time) for values in (self.shifts, self.turns))
        # The first motion is rest.
        shifts = torch.cat([torch.zeros_like(shifts[:1]), shifts[1:]])
        turns = torch.cat([turns.new_tensor([[1.0, 0.0, 0.0, 0.0]]), quaternions.normalise(turns[1:])])
        matrices = quaternions.to_matrix(turns)
        offsets = self.centres + shifts - (matrices @ self.centres[:, :, None]).squeeze(-1)
        table = torch.cat([matrices.flatten(1), offsets, turns], dim=1)
        matrix, offset, turn = (motion.softmax(dim=1) @ table).split([9, 3, 4], dim=1)
        moved = (matrix.view(-1, 3, 3) @ means[:, :, None]).squeeze(-1) + offset
        return moved, quaternions.multiply(turn, quats), log_scales

    def check_motion(self, motion: Tensor | None, gaussians: int) -> None:
        """See `Field.check_motion`: a logit for each motion, float [N, B]."""
        if motion is None or motion.shape != (gaussians, self.motions) or not motion.is_floating_point():
            raise ValueError(f"motion must be floats [{gaussians}, {self.motions}]")

    def _interpolated(self, values: Tensor, time: float) -> Tensor:
        """`values` [T, B, C] at `time`, [B, C]."""
        place = min(max(float(time), 0.0), 1.0) * (self.keys - 1)
        first = min(int(place), self.keys - 2)
        f = place - first
        factors = (
            -0.5 * f + f**2 - 0.5 * f**3,
            1 - 2.5 * f**2 + 1.5 * f**3,
            0.5 * f + 2 * f**2 - 1.5 * f**3,
            -0.5 * f**2 + 0.5 * f**3,
        )
        index = [min(max(first + i, 0), self.keys - 1) for i in (-1, 0, 1, 2)]
        return torch.tensordot(values.new_tensor(factors), values[index], dims=1)

    @torch.no_grad()
    def reach(self, first: int, last: int) -> None:
        """Let all motions go on before key `first` and after key `last` as fast as they do there."""
        for keys, step in ((range(last + 1, self.keys), 1), (range(first - 1, -1, -1), -1)):
            for key in keys:
                self._continue(key, key - step, key - 2 * step if first < last else key - step)

    def _continue(self, key: int, now: int, before: int) -> None:
        """Set `key` to what follows `now` if things go on as they did from `before`: bodies stay rigid."""
        last, earlier = (quaternions.normalise(self.turns[k]) for k in (now, before))
        turned = quaternions.multiply(last, earlier * earlier.new_tensor([1.0, -1.0, -1.0, -1.0]))
        # A motion of no body is one for itself.
        alone = torch.arange(self.motions, device=self.bodies.device) + self.motions
        _, group = torch.where(self.bodies >= 0, self.bodies, alone).unique(return_inverse=True)
        share = 1.0 / torch.bincount(group)[group, None]

        def middle(values: Tensor) -> Tensor:
            return torch.zeros_like(values).index_add(0, group, values * share)[group]

        place, previous = self.centres + self.shifts[now], self.centres + self.shifts[before]
        pivot = middle(place)
        matrix = quaternions.to_matrix(middle(turned))
        carried = pivot + (matrix @ (place - pivot)[:, :, None]).squeeze(-1)
        self.shifts[key] = carried + pivot - middle(previous) - self.centres
        self.turns[key] = quaternions.multiply(turned, last)

    @torch.no_grad()
    def carry(self, key: int, motions: Tensor, turn: Tensor, pivot: Tensor, shift: Tensor) -> None:
        """Move what `motions` move, at one key time, as one rigid body.

        Args:
            key: index of the key time.
            motions: [M] indices of the motions, not 0.
            turn: [4] quaternion wxyz of length one.
            pivot: [3] world position about which it turns.
            shift: [3] by which it moves then.
        """
        places = self.centres[motions] + self.shifts[key, motions]
        matrix = quaternions.to_matrix(turn)
        self.shifts[key, motions] = (places - pivot) @ matrix.T + pivot + shift - self.centres[motions]
        self.turns[key, motions] = quaternions.multiply(turn[None], quaternions.normalise(self.turns[key, motions]))

    def acceleration(self) -> Tensor:
        """Return how much speed changes between keys, summed over motions: a penalty for jerky motion.

        The square of small changes, but no more than proportional to large ones: what bounces may.
        """
        bends = [values[2:] - 2 * values[1:-1] + values[:-2] for values in (self.shifts, self.turns)]
        squares = torch.cat([bend.square().sum(-1).flatten() for bend in bends])
        return 2 * _BOUNCE * ((squares + _BOUNCE**2).sqrt() - _BOUNCE).sum()


def connected(means: Tensor, among: Tensor, touch: float = _TOUCH) -> Tensor:
    """Return for each Gaussian the connected thing that it is of, int64 [N] from 0; -1 for those of none.

    Args:
        means: [N, 3] positions.
        among: bool [N] those in question.
        touch: Gaussians touch that lie within this many of the usual distances to neighbours.
    """
    from scipy.spatial import KDTree
    from sklearn.cluster import DBSCAN

    body = torch.full((len(means),), -1, device=means.device)
    index = torch.nonzero(among)[:, 0]
    if len(index) < 2 * _FEWEST:
        return body
    points = means[index].numpy(force=True)
    nearest = KDTree(points).query(points, k=4)[0][:, 3]
    labels = DBSCAN(eps=touch * float(np.median(nearest)), min_samples=_FEWEST).fit(points).labels_
    body[index] = torch.from_numpy(labels).to(body)
    return body
