"""Meshes are closed, face outwards and have the size that they say."""

import numpy as np
import pytest

from trase_ns.synthetic import shapes


def volume(mesh: shapes.Mesh) -> float:
    """Signed: positive where faces look outwards."""
    return np.linalg.det(mesh.vertices[mesh.faces]).sum() / 6


@pytest.mark.parametrize(
    ("mesh", "expected"),
    [
        (shapes.ball(0.5), 4 / 3 * np.pi * 0.5**3),
        (shapes.box((1.0, 2.0, 3.0)), 6.0),
        (shapes.capsule(0.2, 1.0), np.pi * 0.04 + 4 / 3 * np.pi * 0.008),
        (shapes.drum(0.5, 1.0, bevel=0.0), np.pi * 0.25),
    ],
)
def test_volume(mesh, expected):
    assert volume(mesh) == pytest.approx(expected, rel=0.03)


def test_normals_of_a_ball_point_away_from_its_centre():
    mesh = shapes.ball(0.5)
    normals = shapes.vertex_normals(mesh.vertices, mesh.faces)
    assert (np.einsum("vc,vc->v", normals, mesh.vertices) / 0.5).min() > 0.99


def test_box_has_flat_faces():
    mesh = shapes.box((1, 1, 1))
    normals = shapes.vertex_normals(mesh.vertices, mesh.faces)
    assert np.allclose(np.abs(normals).max(axis=-1), 1)


def test_floor_looks_up_and_backdrop_looks_in():
    floor, wall = shapes.floor(2.0), shapes.backdrop(3.0, 2.0, np.pi)
    assert np.allclose(shapes.vertex_normals(floor.vertices, floor.faces)[:, 2], 1)
    normals = shapes.vertex_normals(wall.vertices, wall.faces)
    assert (np.einsum("vc,vc->v", normals[:, :2], wall.vertices[:, :2]) < 0).all()
