"""From the world of a capture to a normalised one, and where its cameras look."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# Depth range around the median that random seeds fill when there are no points to tell it.
_DEFAULT_RANGE = (0.4, 2.0)


@dataclass(frozen=True)
class World:
    """A similarity transform into the training world, and the depths that its cameras see there.

    Attributes:
        transform: [3, 4] float64, rotation and translation of the capture's world, applied before the scale.
        scale: factor applied after the transform.
        near, far: depths between which the cameras see most of the scene, in the training world.
    """

    transform: np.ndarray
    scale: float
    near: float
    far: float

    def points(self, points: np.ndarray) -> np.ndarray:
        """Map [P, 3] positions of the capture's world into the training world."""
        return (points @ self.transform[:, :3].T + self.transform[:, 3]) * self.scale

    def poses(self, c2w: np.ndarray) -> np.ndarray:
        """Map [F, 4, 4] camera-to-world matrices (OpenGL) of the capture's world to [F, 3, 4] of the training world."""
        poses = self.transform @ c2w
        poses[:, :, 3] *= self.scale
        return poses


def normalise(c2w: np.ndarray, points: np.ndarray | None = None, bounds: tuple[float, float] | None = None) -> World:
    """Choose the training world: z is up, the origin is what the cameras look at, the capture's extent is one.

    The extent is the radius of the cameras or half of the depth that they see, whichever is larger: learning rates
    then mean the same for an orbit, a hand-held video and a camera at rest.

    Args:
        c2w: [F, 4, 4] float64 camera-to-world matrices, OpenGL axes.
        points: [P, 3] sparse points in the same world, or None.
        bounds: nearest and farthest depth that the data set names, used where there are no points.
    """
    positions, forward = c2w[:, :3, 3], -c2w[:, :3, 2]
    depths = _seen_depths(c2w, points) if points is not None and len(points) else None
    if depths is not None and len(depths):
        depth = float(np.median(depths))
    else:
        # Cameras side by side or on a dome do not look at one place: then what the data set names must tell.
        depth = _focus_depth(positions, forward) or (
            np.sqrt(bounds[0] * bounds[1]) if bounds and bounds[0] > 0 else 1.0
        )
    centre = (positions + forward * depth).mean(axis=0)
    up = c2w[:, :3, 1].mean(axis=0)
    rotation = _rotation_between(up / max(np.linalg.norm(up), 1e-12), np.array([0.0, 0.0, 1.0]))
    radius = np.linalg.norm(positions - positions.mean(axis=0), axis=1).max()
    scale = 1.0 / max(radius, depth / 2)
    if depths is not None and len(depths):
        near, far = np.percentile(depths, [1, 99])
    elif bounds is not None:
        near, far = bounds
    else:
        near, far = (depth * factor for factor in _DEFAULT_RANGE)
    transform = np.concatenate([rotation, (-rotation @ centre)[:, None]], axis=1)
    return World(transform, float(scale), float(near * scale), float(far * scale))


def points_in_view(
    poses: np.ndarray, tan_half_fov: np.ndarray, near: float, far: float, count: int, seed: int
) -> np.ndarray:
    """Draw points that the cameras see, uniform in the picture and in depth.

    Args:
        poses: [F, 3, 4] camera-to-world matrices, OpenGL axes.
        tan_half_fov: [F, 2] tangents of half the horizontal and the vertical field of view.
        near, far: depth range in the units of `poses`.
        count: number of points.
        seed: of the random generator.

    Returns:
        [count, 3] float32 positions in the world of `poses`.
    """
    rng = np.random.default_rng(seed)
    camera = rng.integers(len(poses), size=count)
    depth = rng.uniform(near, far, size=(count, 1))
    in_picture = rng.uniform(-1, 1, size=(count, 2)) * tan_half_fov[camera]
    local = np.concatenate([in_picture, -np.ones((count, 1))], axis=1) * depth
    return (np.einsum("nij,nj->ni", poses[camera, :, :3], local) + poses[camera, :, 3]).astype(np.float32)


def _seen_depths(c2w: np.ndarray, points: np.ndarray, cameras: int = 20) -> np.ndarray:
    """Depths of the points in front of a few of the cameras, within 45 degrees of where they look."""
    chosen = c2w[np.linspace(0, len(c2w) - 1, min(cameras, len(c2w))).astype(int)]
    local = np.einsum("fij,fpi->fpj", chosen[:, :3, :3], points[None] - chosen[:, None, :3, 3])
    depth = -local[..., 2]
    return depth[(depth > 0) & (np.abs(local[..., :2]).max(axis=-1) < depth)]


def _focus_depth(positions: np.ndarray, forward: np.ndarray) -> float | None:
    """Mean distance from the cameras to the point nearest to all their axes; None where the axes do not tell."""
    planes = np.eye(3) - forward[:, :, None] * forward[:, None, :]
    system = planes.sum(axis=0)
    if np.linalg.cond(system) > 1e4:
        return None
    focus = np.linalg.solve(system, np.einsum("fij,fj->i", planes, positions))
    depth = float(np.mean(np.einsum("fi,fi->f", focus - positions, forward)))
    return depth if depth > 1e-6 else None


def _rotation_between(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Smallest rotation that takes the unit vector `source` to `target`."""
    cross, cosine = np.cross(source, target), float(source @ target)
    if cosine < -1 + 1e-9:
        return np.diag([1.0, -1.0, -1.0])
    skew = np.array([[0, -cross[2], cross[1]], [cross[2], 0, -cross[0]], [-cross[1], cross[0], 0]])
    return np.eye(3) + skew + skew @ skew / (1 + cosine)
