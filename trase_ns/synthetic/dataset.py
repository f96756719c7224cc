"""A built-in scene as a data set on disk: pictures, poses, seed points, SAM-like masks and an exact benchmark."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from trase_ns.console import track
from trase_ns.errors import UserError
from trase_ns.masks.coco import write_coco
from trase_ns.masks.simulated import simulate_masks
from trase_ns.scene.camera import Camera
from trase_ns.synthetic import cameras, scenes
from trase_ns.synthetic.benchmark_writer import BenchmarkWriter
from trase_ns.synthetic.scene import Scene
from trase_ns.synthetic.seed_points import MOVING_MOMENT, SeedPoints
from trase_ns.synthetic.tabletop import tabletop
from trase_ns.synthetic.thrown import thrown

SCENES = {"tabletop": tabletop, "thrown": thrown, **{name: getattr(scenes, name) for name in scenes.__all__}}
SCORED_FROM = {"tabletop": 400}  # an object is scored where it fills one pixel in so many, else in 1000
RELAY = 4  # one in so many cameras takes a picture at a moment
VERSION = 1  # of what this module writes: raise it with every change of the pictures


@dataclass(frozen=True)
class SceneParameters:
    """All that decides what a data set holds; two data sets of the same parameters are equal byte for byte."""

    scene: str = "tabletop"
    seed: int = 0
    frames: int = 100
    width: int = 256
    height: int = 192
    cameras: Literal["moving", "several", "relay", "rest"] = "moving"
    rig: int = 6
    held_out: int = 24
    points: int = 3000
    version: int = VERSION


@dataclass(frozen=True)
class _Shot:
    """One picture to take."""

    name: str
    split: Literal["train", "test"]
    c2w: np.ndarray
    time: float


def make_scene(
    directory: Path | str,
    seed: int = 0,
    frames: int = 100,
    width: int = 256,
    height: int = 192,
    cameras: Literal["moving", "several", "relay", "rest"] = "moving",
    rig: int = 6,
    held_out: int = 24,
    points: int = 3000,
    scene: str = "tabletop",
) -> Path:
    """Write a built-in moving scene as a data set, ready for training and for evaluation.

    The folder holds `images/`, `transforms.json` (Nerfstudio's format, a `time` in [0, 1] for each frame, splits),
    `sparse_pc.ply` (seed points), `masks/` (SAM-like masks of the training frames, COCO RLE), `benchmark/` (exact
    masks and prompts: objects seen in held-out frames, each prompted in one training frame) and `scene.json`.
    World units are about a metre, z is up, poses are camera to world in OpenGL axes.

    Args:
        directory: the data set's folder; made, or reused where it already holds the same scene.
        seed: draws textures, motions, masks and seed points; the same seed gives the same bytes.
        frames: number of moments that are trained on.
        width, height: picture size in pixels.
        cameras: "moving" is one camera that sweeps around, one picture a moment; "several" are `rig` cameras at rest,
            each with a picture of every moment; "relay" are `rig` cameras at rest that take turns, a quarter of them at
            each moment: camera i at moment k where i % 4 == k % 4; "rest" is one camera at rest, also for the held-out
            pictures.
        rig: number of cameras at rest, at least 4 for "relay".
        held_out: number of pictures from other poses, at moments half-way between the others; for "relay" at moments
            that are trained on, each once where there are as many.
        points: number of seed points.
        scene: "tabletop"; "thrown", where things move up to three of their widths between two of 30 moments; or one
            of `trase_ns.synthetic.scenes`.

    Returns:
        The folder.

    Raises:
        UserError: the folder holds something else or cannot be written; a number is out of range; the ray-casting
            library is not installed.
    """
    parameters = SceneParameters(scene, seed, frames, width, height, cameras, rig, held_out, points)
    _check(parameters)
    directory = Path(directory)
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        if _read_parameters(directory) == asdict(parameters):
            return directory
        raise UserError(
            f"{directory} is not empty and does not hold the built-in scene with these parameters. "
            "Choose another folder, or remove it."
        )
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{directory.name}-", dir=directory.parent))
    except OSError as error:
        raise UserError(
            f"cannot write {directory}: {error.strerror}. Choose a folder that you may write to."
        ) from error
    try:
        temporary.chmod(0o755)
        _write(temporary, parameters)
        os.replace(temporary, directory)
    except OSError as error:
        raise UserError(
            f"cannot write {directory}: {error.strerror or error}. Free space or choose another folder."
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return directory


def open_scene(directory: Path | str) -> Scene:
    """Return the scene that a data set of `make_scene` shows, to ray-cast it from other views and at other times.

    Raises:
        UserError: the folder holds no such data set.
    """
    parameters = _read_parameters(Path(directory))
    if parameters is None or parameters.get("scene") not in SCENES or parameters.get("version") != VERSION:
        raise UserError(f"{directory} holds no built-in scene of this version: make one with make_scene.")
    return SCENES[parameters["scene"]](parameters["seed"])


def _check(parameters: SceneParameters) -> None:
    if parameters.scene not in SCENES:
        raise UserError(f"no built-in scene is called {parameters.scene!r}: choose one of {', '.join(SCENES)}.")
    if parameters.cameras not in ("moving", "several", "relay", "rest"):
        raise UserError(f'cameras must be "moving", "several", "relay" or "rest", not {parameters.cameras!r}.')
    rig = RELAY if parameters.cameras == "relay" else 1
    lowest = {"seed": 0, "frames": 2, "width": 32, "height": 32, "rig": rig, "held_out": 1, "points": 1}
    for name, bound in lowest.items():
        if getattr(parameters, name) < bound:
            raise UserError(f"{name} must be at least {bound}, not {getattr(parameters, name)}.")


def _read_parameters(directory: Path) -> dict[str, Any] | None:
    try:
        return json.loads((directory / "scene.json").read_text())["parameters"]
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _shots(parameters: SceneParameters) -> list[_Shot]:
    """All pictures to take: training ones by time, then held-out ones by time."""
    times = np.linspace(0, 1, parameters.frames).tolist()
    shots = []
    for i, time in enumerate(times):
        if parameters.cameras == "moving":
            shots.append(_Shot(f"train_{i:04d}", "train", cameras.moving(time), time))
        elif parameters.cameras == "rest":
            shots.append(_Shot(f"train_{i:04d}", "train", cameras.rig(0, 1), time))
        else:
            turn = slice(i % RELAY, None, RELAY) if parameters.cameras == "relay" else slice(None)
            for camera in range(parameters.rig)[turn]:
                pose = cameras.rig(camera, parameters.rig)
                shots.append(_Shot(f"train_cam{camera:02d}_{i:04d}", "train", pose, time))
    if parameters.cameras == "relay":
        for i in range(parameters.held_out):
            time = times[(2 * i + 1) * parameters.frames // (2 * parameters.held_out)]
            shots.append(_Shot(f"test_{i:04d}", "test", cameras.between(i, parameters.rig), time))
        return shots
    gaps = (np.arange(parameters.held_out) + 0.5) * (parameters.frames - 1) / parameters.held_out
    for i, time in enumerate(((np.floor(gaps) + 0.5) / (parameters.frames - 1)).tolist()):
        pose = cameras.rig(0, 1) if parameters.cameras == "rest" else cameras.held_out(time)
        shots.append(_Shot(f"test_{i:04d}", "test", pose, time))
    return shots


def _write(root: Path, parameters: SceneParameters) -> None:
    """Write the whole data set into an empty folder."""
    import torch
    from PIL import Image

    scene = SCENES[parameters.scene](parameters.seed)
    focal, cx, cy = cameras.intrinsics(parameters.width, parameters.height)
    for folder in ("images", "masks", "benchmark"):
        (root / folder).mkdir()
    shots = _shots(parameters)
    training = [shot for shot in shots if shot.split == "train"]
    min_area = parameters.width * parameters.height // SCORED_FROM.get(parameters.scene, 1000)
    benchmark = BenchmarkWriter(scene, root / "benchmark", min_area)
    seeding, moment = {shot.name for shot in training}, MOVING_MOMENT
    if parameters.cameras == "relay":  # as from the pictures of one moment, the middle one
        moment = training[len(training) // 2].time
        seeding = {shot.name for shot in training if shot.time == moment}
    seeds = SeedPoints(scene, parameters.points, len(seeding), np.random.default_rng([parameters.seed, 3]), moment)
    for i, shot in enumerate(track(shots, "making the scene")):
        camera = Camera.from_opengl(
            torch.from_numpy(shot.c2w), focal, focal, cx, cy, parameters.width, parameters.height, shot.time
        )
        picture = scene.render(camera)
        Image.fromarray(picture.rgb).save(root / "images" / f"{shot.name}.png")
        if shot.split == "train":
            rng = np.random.default_rng([parameters.seed, 2, i])
            masks = simulate_masks(picture.parts, scene.parents, rng, shot.name)
            write_coco(masks, root / "masks" / f"{shot.name}.json")
            if shot.name in seeding:
                seeds.add(picture, camera)
            benchmark.consider_prompts(shot.name, picture)
        else:
            benchmark.write_masks(shot.name, picture)
    seeds.write(root / "sparse_pc.ply")
    _write_json(root / "benchmark" / "benchmark.json", benchmark.description(), indent=2)
    _write_json(root / "transforms.json", _transforms(shots, parameters), indent=2)
    description = {
        "parameters": asdict(parameters),
        "world": "z up, floor at z = 0, about a metre a unit",
        "objects": [
            {
                "id": id_,
                "name": name,
                "surroundings": name in scene.surroundings,
                "moves": any(part.moves for part in scene.parts if part.object == name),
                "parts": [{"id": i + 1, "name": p.name} for i, p in enumerate(scene.parts) if p.object == name],
            }
            for name, id_ in scene.objects.items()
        ],
    }
    _write_json(root / "scene.json", description, indent=2)


def _transforms(shots: list[_Shot], parameters: SceneParameters) -> dict[str, Any]:
    focal, cx, cy = cameras.intrinsics(parameters.width, parameters.height)
    files = {split: [f"images/{shot.name}.png" for shot in shots if shot.split == split] for split in ("train", "test")}
    return {
        "camera_model": "OPENCV",
        "w": parameters.width,
        "h": parameters.height,
        "fl_x": focal,
        "fl_y": focal,
        "cx": cx,
        "cy": cy,
        "ply_file_path": "sparse_pc.ply",
        "train_filenames": files["train"],
        "val_filenames": files["test"],
        "test_filenames": files["test"],
        "frames": [
            {"file_path": f"images/{s.name}.png", "time": s.time, "transform_matrix": s.c2w.tolist()} for s in shots
        ],
    }


def _write_json(path: Path, content: Any, indent: int | None = None) -> None:
    path.write_text(json.dumps(content, indent=indent) + "\n")
