"""Triangle meshes of simple solids, at rest, in object coordinates (z up)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Mesh:
    """A triangle mesh.

    Attributes:
        vertices: [V, 3] float64.
        faces: [F, 3] int64, indices of vertices, counter-clockwise seen from outside.
        smooth: shade with normals that vary over a face (round things) or with one normal a face (boxes).
    """

    vertices: np.ndarray
    faces: np.ndarray
    smooth: bool = True


def lathe(profile: np.ndarray | Sequence[tuple[float, float]], segments: int = 48) -> Mesh:
    """Return the surface that a profile sweeps around the z axis.

    Args:
        profile: [P, 2] radius and height; from top to bottom the surface faces outwards.
        segments: number of steps around the axis.
    """
    profile = np.asarray(profile, dtype=np.float64)
    angles = np.arange(segments) * (2 * np.pi / segments)
    ring = np.stack([np.cos(angles), np.sin(angles), np.zeros(segments)], axis=-1)
    vertices = ring[None] * profile[:, None, :1] + np.array([0.0, 0.0, 1.0]) * profile[:, None, 1:]
    return Mesh(vertices.reshape(-1, 3), _grid_faces(len(profile), segments, wrap=True))


def ball(radius: float, rings: int = 32, segments: int = 48) -> Mesh:
    """Return a sphere around the origin."""
    angles = np.linspace(0, np.pi, rings)
    return lathe(radius * np.stack([np.sin(angles), np.cos(angles)], axis=-1), segments)


def capsule(radius: float, length: float, segments: int = 32) -> Mesh:
    """Return a rod with round ends along z: its end centres are the origin and (0, 0, length)."""
    angles = np.linspace(0, np.pi, 24)
    profile = radius * np.stack([np.sin(angles), np.cos(angles)], axis=-1)
    profile[:12, 1] += length
    return lathe(profile, segments)


def drum(radius: float, height: float, bevel: float = 0.04, segments: int = 48) -> Mesh:
    """Return a closed cylinder that stands on z = 0, its top edge bevelled."""
    profile = [(0, height), (radius - bevel, height), (radius, height - bevel), (radius, 0), (0, 0)]
    return Mesh(*_unshared(lathe(np.array(profile), segments)), smooth=False)


def box(size: tuple[float, float, float]) -> Mesh:
    """Return a box of the given edge lengths around the origin."""
    corners = np.array([[x, y, z] for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (-0.5, 0.5)])
    quads = np.array([[0, 1, 3, 2], [4, 6, 7, 5], [0, 4, 5, 1], [2, 3, 7, 6], [0, 2, 6, 4], [1, 5, 7, 3]])
    faces = np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])
    return Mesh(*_unshared(Mesh(corners * np.asarray(size), faces)), smooth=False)


def floor(radius: float, segments: int = 64) -> Mesh:
    """Return a disc at z = 0 that faces up."""
    return lathe(np.array([(0.0, 0.0), (radius, 0.0)]), segments)


def backdrop(radius: float, height: float, arc: float, segments: int = 64) -> Mesh:
    """Return a wall on the floor, bent around the z axis and facing it.

    Args:
        radius: distance from the axis.
        height: height above z = 0.
        arc: angle that the wall spans, in radians, centred on +y.
    """
    angles = np.pi / 2 + np.linspace(-arc / 2, arc / 2, segments)
    low = np.stack([radius * np.cos(angles), radius * np.sin(angles), np.zeros(segments)], axis=-1)
    vertices = np.concatenate([low, low + [0, 0, height]])
    return Mesh(vertices, _grid_faces(2, segments, wrap=False))


def moved(mesh: Mesh, pose: np.ndarray) -> Mesh:
    """Return the mesh after a [4, 4] rigid transform."""
    return Mesh(mesh.vertices @ pose[:3, :3].T + pose[:3, 3], mesh.faces, mesh.smooth)


def union(meshes: list[Mesh]) -> Mesh:
    """Return one mesh of several that are shaded alike; what lies inside another is kept."""
    starts = np.cumsum([0, *(len(mesh.vertices) for mesh in meshes)])
    faces = np.concatenate([mesh.faces + start for mesh, start in zip(meshes, starts)])
    return Mesh(np.concatenate([mesh.vertices for mesh in meshes]), faces, meshes[0].smooth)


def vertex_normals(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Return [V, 3] unit normals of the vertices: the mean of their faces' normals, weighted by area."""
    a, b, c = vertices[faces].transpose(1, 0, 2)
    normals = np.zeros_like(vertices)
    for corner in range(3):
        np.add.at(normals, faces[:, corner], np.cross(b - a, c - a))
    return normals / np.maximum(np.linalg.norm(normals, axis=-1, keepdims=True), 1e-12)


def _grid_faces(rows: int, columns: int, wrap: bool) -> np.ndarray:
    """Two triangles for each cell of a grid of vertices, row-major; `wrap` joins the last column to the first."""
    row, column = np.meshgrid(np.arange(rows - 1), np.arange(columns if wrap else columns - 1), indexing="ij")
    right = (column + 1) % columns
    a, b = row * columns + column, row * columns + right
    c, d = a + columns, b + columns
    return np.stack([np.stack([a, c, d], -1), np.stack([a, d, b], -1)], -2).reshape(-1, 3).astype(np.int64)


def _unshared(mesh: Mesh) -> tuple[np.ndarray, np.ndarray]:
    """Vertices and faces of a mesh whose faces share no vertex, so that each face has a normal of its own."""
    return mesh.vertices[mesh.faces].reshape(-1, 3), np.arange(mesh.faces.size).reshape(-1, 3)
