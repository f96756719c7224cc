"""A moving scene and its ray-caster: exact colour, ids and depth from every camera at every time."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from trase_ns.errors import UserError
from trase_ns.scene.camera import Camera
from trase_ns.synthetic.motion import Motion
from trase_ns.synthetic.shapes import Mesh, vertex_normals
from trase_ns.synthetic.textures import Texture

SUN = np.array([0.25, -0.45, 0.86]) / np.linalg.norm([0.25, -0.45, 0.86])  # direction towards the light
AMBIENT = 0.6  # share of the light that comes from everywhere; shadows are not cast
SKY = np.array([0.75, 0.8, 0.85])  # colour where a ray hits nothing
SUPERSAMPLES = 3  # colour samples along each side of a pixel that holds a border


@dataclass(frozen=True)
class Part:
    """A textured mesh that moves as one piece; one or more parts make an object.

    Attributes:
        name: unique in the scene.
        object: name of the object that it belongs to.
        mesh: its shape at rest.
        texture: its colour at rest.
        motion: its shape in the world at a time.
        moves: whether anything of it moves at all.
    """

    name: str
    object: str
    mesh: Mesh
    texture: Texture
    motion: Motion
    moves: bool = True

    def vertices(self, time: float) -> np.ndarray:
        """Return the [V, 3] vertices in the world at a time in [0, 1]."""
        return self.motion(self.mesh.vertices, time)


class Picture(NamedTuple):
    """What a camera sees.

    Attributes:
        rgb: [H, W, 3] uint8, anti-aliased.
        parts: [H, W] int32, part id at the pixel centre, 0 where nothing is hit.
        objects: [H, W] int32, object id at the pixel centre, 0 where nothing is hit.
        depth: [H, W] float32, z in the camera at the pixel centre, infinite where nothing is hit.
    """

    rgb: np.ndarray
    parts: np.ndarray
    objects: np.ndarray
    depth: np.ndarray


class Scene:
    """Parts that move, seen through exact rays. World coordinates, z up.

    Args:
        parts: all parts; part ids are 1, 2, ... in this order, object ids in the order of first mention.
        surroundings: names of the objects that are floor or backdrop.
    """

    def __init__(self, parts: list[Part], surroundings: tuple[str, ...] = ()):
        self.parts = parts
        self.surroundings = surroundings

    @cached_property
    def objects(self) -> dict[str, int]:
        """Object ids by name."""
        return {name: i + 1 for i, name in enumerate(dict.fromkeys(part.object for part in self.parts))}

    @cached_property
    def parents(self) -> dict[int, int]:
        """Object id of each part id."""
        return {i + 1: self.objects[part.object] for i, part in enumerate(self.parts)}

    def render(self, camera: Camera, time: float | None = None) -> Picture:
        """Ray-cast the scene.

        Args:
            camera: the view.
            time: moment in [0, 1]; the camera's own by default.

        Raises:
            UserError: the ray-casting library is not installed.
        """
        caster = _Caster(self.parts, camera.time if time is None else time)
        height, width = camera.height, camera.width
        y, x = np.meshgrid(np.arange(height) + 0.5, np.arange(width) + 0.5, indexing="ij")
        pixels = np.stack([x, y], axis=-1).reshape(-1, 2)
        color, parts, depth = caster.cast(camera, pixels)
        # A texture is coarser than a pixel: only borders need more than one colour sample.
        border = _border(color.reshape(height, width, 3), parts.reshape(height, width)).ravel()
        offsets = (np.arange(SUPERSAMPLES) + 0.5) / SUPERSAMPLES - 0.5
        total = np.zeros((border.sum(), 3))
        for dy in offsets:
            for dx in offsets:
                total += caster.cast(camera, pixels[border] + [dx, dy])[0]
        color[border] = total / SUPERSAMPLES**2
        objects = np.array([0, *self.parents.values()], dtype=np.int32)[parts]
        return Picture(
            (color.clip(0, 1) * 255 + 0.5).astype(np.uint8).reshape(height, width, 3),
            parts.reshape(height, width),
            objects.reshape(height, width),
            depth.reshape(height, width),
        )


class _Caster:
    """All parts at one time, in Embree."""

    def __init__(self, parts: list[Part], time: float):
        try:
            import trimesh
            from trimesh.ray.ray_pyembree import RayMeshIntersector
        except ImportError as error:
            raise UserError(
                f"the built-in scene needs trimesh and embreex ({error}). "
                "Install them: pip install 'trase_ns[synthetic]'"
            ) from error
        self.textures = [part.texture for part in parts]
        vertices = [part.vertices(time) for part in parts]
        starts = np.cumsum([0, *(len(v) for v in vertices)])
        self.vertices = np.concatenate(vertices)
        self.rest = np.concatenate([part.mesh.vertices for part in parts])
        self.normals = np.concatenate([vertex_normals(v, part.mesh.faces) for v, part in zip(vertices, parts)])
        self.faces = np.concatenate([part.mesh.faces + start for part, start in zip(parts, starts)])
        self.part_of_face = np.repeat(np.arange(len(parts), dtype=np.int32) + 1, [len(p.mesh.faces) for p in parts])
        self.embree = RayMeshIntersector(trimesh.Trimesh(self.vertices, self.faces, process=False))

    def cast(self, camera: Camera, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return [P, 3] colours, [P] int32 part ids and [P] float32 depths at [P, 2] pixel coordinates x, y."""
        viewmat, K = camera.viewmat.cpu().double().numpy(), camera.K.cpu().double().numpy()
        local = np.concatenate([(pixels - K[:2, 2]) / K[[0, 1], [0, 1]], np.ones((len(pixels), 1))], axis=-1)
        directions = local @ viewmat[:3, :3]  # z in the camera is 1: the distance along a ray is the depth
        origin = -viewmat[:3, :3].T @ viewmat[:3, 3]
        face = self.embree.intersects_first(np.broadcast_to(origin, directions.shape), directions)
        color = np.tile(SKY, (len(pixels), 1))
        parts = np.zeros(len(pixels), dtype=np.int32)
        depth = np.full(len(pixels), np.inf, dtype=np.float32)
        hit = face >= 0
        corners = self.faces[face[hit]]
        distance, weights = _intersect(origin, directions[hit], self.vertices[corners])
        rest = np.einsum("pk,pkc->pc", weights, self.rest[corners])
        normals = np.einsum("pk,pkc->pc", weights, self.normals[corners])
        normals /= np.maximum(np.linalg.norm(normals, axis=-1, keepdims=True), 1e-12)
        parts[hit] = self.part_of_face[face[hit]]
        depth[hit] = distance
        albedo = np.empty_like(rest)
        for i, texture in enumerate(self.textures):
            here = parts[hit] == i + 1
            if here.any():
                albedo[here] = texture(rest[here])
        # Half-Lambert: soft on the side away from the light.
        light = AMBIENT + (1 - AMBIENT) * (0.5 + 0.5 * normals @ SUN)
        color[hit] = albedo * light[:, None]
        return color, parts, depth


def _intersect(origin: np.ndarray, directions: np.ndarray, triangles: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where rays meet the triangles that they are known to hit: [P] distances, [P, 3] barycentric weights.

    Moeller and Trumbore 1997; in float64, where Embree itself works in float32.
    """
    a, edge1, edge2 = triangles[:, 0], triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0]
    p = np.cross(directions, edge2)
    scale = 1 / np.einsum("pc,pc->p", edge1, p)
    offset = origin - a
    u = np.einsum("pc,pc->p", offset, p) * scale
    q = np.cross(offset, edge1)
    v = np.einsum("pc,pc->p", directions, q) * scale
    weights = np.clip(np.stack([1 - u - v, u, v], axis=-1), 0, 1)
    return np.einsum("pc,pc->p", edge2, q) * scale, weights / weights.sum(axis=-1, keepdims=True)


def _border(color: np.ndarray, parts: np.ndarray) -> np.ndarray:
    """[H, W] bool: pixels beside another part or beside a clearly different colour."""
    border = np.zeros(parts.shape, dtype=bool)
    for axis in (0, 1):
        change = np.diff(parts, axis=axis) != 0
        change |= np.abs(np.diff(color, axis=axis)).max(axis=-1) > 0.08
        low, high = [slice(None)] * 2, [slice(None)] * 2
        low[axis], high[axis] = slice(None, -1), slice(1, None)
        border[tuple(low)] |= change
        border[tuple(high)] |= change
    return border
