"""Cameras around a scene: from where, and how far around, is learnt from the cameras that filmed it."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from trase_ns.capture.camera_path import evenly, pose
from trase_ns.scene.camera import Camera
from trase_ns.scene.gaussians import DynamicGaussians, Gaussians

# Gaussians that are more transparent than this do not say where the scene is.
_OPAQUE = 0.1
# Cameras that are asked how deep they see.
_ASKED = 8
# If the cameras leave a gap of at most this angle around the scene, an orbit goes all around it.
_GAP = math.radians(100)
# Otherwise it swings over the angle that they cover, at least this far to each side.
_SWING = math.radians(10)
# What is made where there are no cameras: number, height above the horizon, vertical field of view, distance, size.
_COUNT = 8
_ELEVATION = math.radians(20)
_FIELD_OF_VIEW = math.radians(50)
_DISTANCE = 2.8  # in radii that hold half of the Gaussians
_SIZE = (768, 576)


def orbit(cameras: Sequence[Camera], scene: DynamicGaussians, count: int) -> list[Camera]:
    """Go once around what the cameras look at, at their distance and height, while the time moves from 0 to 1.

    Where the cameras saw the scene from one side only, there is nothing to see from the other: the path then swings
    once over the angle that they cover and comes back to where it began. Up is the mean up of the cameras; lens and
    picture size are those of the first.

    Args:
        cameras: those of the data set, at least one, in the world of the scene.
        scene: what is looked at.
        count: number of cameras of the path.

    Returns:
        The path; the camera after the last would be the first, so that it loops in space.
    """
    positions = np.stack([camera.position.cpu().double().numpy() for camera in cameras])
    up = -np.stack([camera.viewmat[1, :3].cpu().double().numpy() for camera in cameras]).mean(axis=0)
    up = up / np.linalg.norm(up) if np.linalg.norm(up) > 1e-6 else np.array([0.0, 0.0, 1.0])
    centre = looked_at(cameras, scene)
    offsets = positions - centre
    distances = np.linalg.norm(offsets, axis=1)
    elevation = float(np.median(np.arcsin(np.clip(offsets @ up / np.maximum(distances, 1e-9), -0.99, 0.99))))
    east, north = _horizon(up)
    azimuths = np.arctan2(offsets @ north, offsets @ east)
    start, covered = _arc(azimuths)
    turns = np.arange(count) / count * 2 * np.pi
    if 2 * np.pi - covered <= _GAP:
        path = azimuths[0] + turns
    else:
        path = start + covered / 2 + max(covered / 2, _SWING) * np.sin(turns)
    distance = float(np.median(distances))
    return [
        _look(centre, up, azimuth, elevation, distance, cameras[0], time) for azimuth, time in zip(path, evenly(count))
    ]


def surround(scene: DynamicGaussians) -> list[Camera]:
    """Return cameras that see a scene whose own are not known: a ring around it, at times from 0 to 1.

    The first has the least in its way, as a room has where it was filmed from. Up is z, as in Nerfstudio's worlds.
    """
    with torch.no_grad():
        gaussians = scene.at(0.0)
    seen = gaussians.opacities >= _OPAQUE
    gaussians = gaussians.subset(seen) if bool(seen.any()) else gaussians
    centre, radius = np.zeros(3), 1.0
    if len(gaussians):
        means = gaussians.means.detach().cpu().double().numpy()
        centre = np.median(means, axis=0)
        reach = np.linalg.norm(means - centre, axis=1) + 2 * gaussians.scales.max(dim=1).values.cpu().double().numpy()
        radius = float(np.median(reach))  # half of the Gaussians: walls behind may take the rest
    width, height = _SIZE
    focal = height / 2 / math.tan(_FIELD_OF_VIEW / 2)
    lens = Camera.from_opengl(torch.eye(4), focal, focal, width / 2, height / 2, width, height)
    up, distance = np.array([0.0, 0.0, 1.0]), _DISTANCE * max(radius, 1e-3)
    ring = [_look(centre, up, 2 * math.pi * i / _COUNT, _ELEVATION, distance, lens, 0.0) for i in range(_COUNT)]
    first = int(np.argmin([_in_the_way(gaussians, camera, distance - radius) for camera in ring]))
    return [camera.at(time) for camera, time in zip(ring[first:] + ring[:first], evenly(_COUNT))]


def looked_at(cameras: Sequence[Camera], scene: DynamicGaussians) -> np.ndarray:
    """Return the point [3] float64 that the cameras look at: the mean of where each meets what it sees.

    How deep a camera sees is the median depth of the Gaussians in the middle of its picture at its time.
    """
    chosen = [cameras[i] for i in np.unique(np.linspace(0, len(cameras) - 1, _ASKED).round().astype(int))]
    met = []
    for camera in chosen:
        depth = _depth(camera, scene)
        if depth is not None:
            met.append(camera.position.cpu().double() + depth * camera.viewmat[2, :3].cpu().double())
    if met:
        return torch.stack(met).mean(dim=0).numpy()
    return scene.means.detach().cpu().double().median(dim=0).values.numpy() if len(scene) else np.zeros(3)


@torch.no_grad()
def _depth(camera: Camera, scene: DynamicGaussians) -> float | None:
    gaussians = scene.at(camera.time)
    depths, inside = _in_picture(gaussians, camera, 0.5)
    middle = inside & (gaussians.opacities >= _OPAQUE)
    return float(depths[middle].median()) if bool(middle.any()) else None


def _in_the_way(gaussians: Gaussians, camera: Camera, depth: float) -> float:
    """Return how much of the view the Gaussians nearer than `depth` fill, each by its opacity and size."""
    depths, inside = _in_picture(gaussians, camera, 1.0)
    near = inside & (depths < depth)
    sizes = gaussians.scales[near].sort(dim=1).values[:, 1:].prod(dim=1) / depths[near].square()
    return float((gaussians.opacities[near] * sizes.clamp_max(1.0)).sum())


def _in_picture(gaussians: Gaussians, camera: Camera, share: float) -> tuple[Tensor, Tensor]:
    """Return depths [N] and whether the means are in the middle `share` of the picture's sides, bool [N]."""
    camera = camera.to(gaussians.means.device)
    local = gaussians.means @ camera.viewmat[:3, :3].T + camera.viewmat[:3, 3]
    pixels = local @ camera.K.T
    inside = local[:, 2] > 1e-6
    for axis, side in enumerate((camera.width, camera.height)):
        inside = inside & ((pixels[:, axis] / local[:, 2] - side / 2).abs() < share * side / 2)
    return local[:, 2], inside


def _horizon(up: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return two directions across `up` [3], a quarter turn from one to the other."""
    east = np.eye(3)[np.abs(up).argmin()]
    east = east - (east @ up) * up
    east /= np.linalg.norm(east)
    return east, np.cross(up, east)


def _arc(azimuths: np.ndarray) -> tuple[float, float]:
    """Return the start and the length of the smallest arc, in radians, that holds all `azimuths`."""
    ordered = np.sort(azimuths)
    gaps = np.diff(np.append(ordered, ordered[0] + 2 * np.pi))
    widest = int(gaps.argmax())
    return float(ordered[(widest + 1) % len(ordered)]), float(2 * np.pi - gaps[widest])


def _look(
    centre: np.ndarray, up: np.ndarray, azimuth: float, elevation: float, distance: float, lens: Camera, time: float
) -> Camera:
    """Return the camera that looks at `centre` from a direction."""
    east, north = _horizon(up)
    level = math.cos(azimuth) * east + math.sin(azimuth) * north
    outward = math.cos(elevation) * level + math.sin(elevation) * up
    right = np.cross(up, level)
    rotation = np.stack([right, np.cross(-outward, right), -outward], axis=1)
    return pose(centre + distance * outward, rotation, lens, time)
