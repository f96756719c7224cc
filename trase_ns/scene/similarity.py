"""Rotate, move and scale Gaussians as one."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from trase_ns.scene import quaternions, spherical_harmonics
from trase_ns.scene.gaussians import Gaussians


@dataclass(frozen=True)
class Similarity:
    """The map x -> scale (rotation x + translation), the order that Nerfstudio's data parsers use.

    Attributes:
        rotation: [3, 3], orthonormal, determinant 1.
        translation: [3].
        scale: positive factor.
    """

    rotation: Tensor
    translation: Tensor
    scale: float = 1.0

    @staticmethod
    def from_dataparser(transform: Tensor, scale: float) -> Similarity:
        """Make the map from a data set's world to the training world: transform [3, 4], then `scale`."""
        transform = torch.as_tensor(transform)
        return Similarity(transform[:3, :3], transform[:3, 3], float(scale))

    @staticmethod
    def identity() -> Similarity:
        """Return the map that changes nothing."""
        return Similarity(torch.eye(3, dtype=torch.float64), torch.zeros(3, dtype=torch.float64))

    @staticmethod
    def about(pivot: Tensor, rotation: Tensor, shift: Tensor, scale: float = 1.0) -> Similarity:
        """Turn by `rotation` [3, 3] and grow by `scale` about `pivot` [3], then move by `shift` [3]."""
        pivot, rotation, shift = (value.detach().cpu().double() for value in (pivot, rotation, shift))
        return Similarity(rotation, (pivot + shift) / scale - rotation @ pivot, float(scale))

    def after(self, first: Similarity) -> Similarity:
        """Return the map that does `first` and then this one."""
        rotation, translation = self.rotation.cpu().double(), self.translation.cpu().double()
        return Similarity(
            rotation @ first.rotation.cpu().double(),
            rotation @ first.translation.cpu().double() + translation / first.scale,
            self.scale * first.scale,
        )

    def inverse(self) -> Similarity:
        """Return the map back."""
        return Similarity(self.rotation.T, -self.scale * (self.rotation.T @ self.translation), 1 / self.scale)

    def points(self, points: Tensor) -> Tensor:
        """Map positions [N, 3]."""
        rotation, translation = self.rotation.to(points), self.translation.to(points)
        return self.scale * (points @ rotation.T + translation)

    def gaussians(self, gaussians: Gaussians) -> Gaussians:
        """Map Gaussians: means, axes, sizes, and colours, whose harmonics turn with the axes."""
        turn = quaternions.from_matrix(self.rotation).to(gaussians.quats)
        return replace(
            gaussians,
            means=self.points(gaussians.means),
            quats=quaternions.multiply(turn.expand_as(gaussians.quats), quaternions.normalise(gaussians.quats)),
            scales=gaussians.scales * self.scale,
            sh=rotate_harmonics(gaussians.sh, self.rotation),
        )


def rotate_harmonics(sh: Tensor, rotation: Tensor) -> Tensor:
    """Return the coefficients [N, K, 3] that show in direction R d what `sh` [N, K, 3] shows in direction d.

    Harmonics of one degree turn among themselves, so there is exactly one linear map of the coefficients that does it;
    it is solved for from more directions than there are coefficients.
    """
    degree = round(sh.shape[1] ** 0.5) - 1
    if degree == 0:
        return sh
    directions = _spread_directions(4 * sh.shape[1])
    before = spherical_harmonics.basis(directions, degree)
    after = spherical_harmonics.basis(directions @ rotation.to("cpu", torch.float64).T, degree)
    turn = torch.linalg.lstsq(after, before).solution.to(sh)
    return torch.einsum("jk,nkc->njc", turn, sh)


def _spread_directions(count: int) -> Tensor:
    """Return `count` directions [count, 3] float64 spread over the sphere (Fibonacci lattice)."""
    index = torch.arange(count, dtype=torch.float64) + 0.5
    z = 1 - 2 * index / count
    azimuth = torch.pi * (1 + 5**0.5) * index
    radius = (1 - z * z).sqrt()
    return torch.stack([radius * azimuth.cos(), radius * azimuth.sin(), z], dim=1)
