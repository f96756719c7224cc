"""Whatever holds a scene, opened: a run, a portable file of a moving scene, or a PLY file."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from trase_ns.capture.orbit import surround
from trase_ns.editing.session import SESSION, SessionFolder
from trase_ns.editing.studio import Studio
from trase_ns.errors import UserError
from trase_ns.scene.camera import Camera
from trase_ns.scene.gaussians import DynamicGaussians
from trase_ns.scene.similarity import Similarity
from trase_ns.segmentation.objects import Segmentation

if TYPE_CHECKING:
    from trase_ns.learning.feature_space import FeatureSpace
    from trase_ns.plugin.run import Run, RunFrame


@dataclass(frozen=True)
class Opened:
    """A scene, and what came with it.

    Attributes:
        scene: the Gaussians, without gradients.
        name: what to call it.
        path: the file that was opened; of a run its config.yml.
        cameras: those of the data set in the order of their times, in the world of the scene; where they are not
            known, some that see the scene. Never empty.
        segmentation: the objects, or None.
        names: a name for each object, or none at all.
        background: [3] colour behind the Gaussians, in [0, 1].
        directory: where a session may be kept: the run's folder, or the one of the file.
        world: the map from the data set's world to that of the scene, or None where it is not known.
        run: the run, if it was one.
        space: what the features of the scene mean, as far as that is known.
    """

    scene: DynamicGaussians
    name: str
    path: Path
    cameras: list[Camera]
    segmentation: Segmentation | None = None
    names: tuple[str, ...] = ()
    background: Tensor = field(default_factory=lambda: torch.zeros(3))
    directory: Path | None = None
    world: Similarity | None = None
    run: Run | None = None
    space: FeatureSpace | None = None

    @property
    def config_path(self) -> Path:
        """The same as `path`, as a run calls it."""
        return self.path

    @property
    def rasterize_mode(self) -> str:
        """How the scene wants to be rendered: "classic", or "antialiased" if it was trained so."""
        return "classic" if self.run is None else self.run.model.config.rasterize_mode

    @property
    def session(self) -> Path | None:
        """Folder of the session: in that of a run, or beside the file."""
        if self.directory is None:
            return None
        return self.directory / (SESSION if self.run is not None else f"{self.path.stem}.{SESSION}")

    def studio(self, restore: bool = True) -> Studio:
        """Return the scene as it was edited: with its session, or with `restore` off as it was trained.

        A session that cannot be read is kept and told of, and the scene is as trained.
        """
        folder = None if self.session is None else SessionFolder(self.session, lambda: self.scene)
        studio = Studio(
            lambda: self.scene, lambda: self.segmentation, folder=folder, names=self.names, space=lambda: self.space
        )
        if restore:
            studio.restore()
        return studio

    def frame(self, name: str) -> RunFrame:
        """Return a frame of the run's data set.

        Raises:
            UserError: there is no such frame, or what was opened is no run and has no frames.
        """
        if self.run is None:
            raise UserError(f"frame {name!r}: {self.path} is a scene without its data set. Open the run for that.")
        return self.run.frame(name)


def open_scene(path: Path, device: str | None = None) -> Opened:
    """Open a run (its config.yml or its folder), a portable scene (.safetensors) or a 3DGS PLY (a scene at rest).

    A run's config.yml can run code (see `load_run`); the other files cannot.

    Args:
        path: what to open.
        device: "cpu" or "cuda"; by default a GPU where there is one.

    Raises:
        UserError: there is nothing there, or it cannot be read.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    if suffix == ".ply":
        return _open_ply(path, device)
    if suffix == ".safetensors":
        return _open_portable(path, device)
    if path.is_file() and suffix not in (".yml", ".yaml"):
        raise UserError(f"{path} is no scene: name a run's config.yml, a .safetensors or a .ply file.")
    return _open_run(path, device)


def _open_run(path: Path, device: str) -> Opened:
    from trase_ns.plugin.run import load_run

    run = load_run(path, device)
    return Opened(
        run.scene,
        run.config.experiment_name or run.directory.name,
        run.config_path,
        [frame.camera for frame in run.frames],
        segmentation=None if run.segmentation is None else run.segmentation.to(run.scene.device),
        background=run.background,
        directory=run.directory,
        world=Similarity.from_dataparser(*run.world_transform),
        run=run,
        space=run.model.space,
    )


def _open_portable(path: Path, device: str) -> Opened:
    from trase_ns.scene.portable import read_portable

    content = read_portable(path)
    scene = _not_empty(content.scene.to(device), path)
    return Opened(
        scene,
        path.stem,
        path,
        sorted(content.cameras, key=lambda camera: camera.time) or surround(scene),
        segmentation=None if content.objects is None else Segmentation.from_state(content.objects).to(device),
        names=content.names,
        background=torch.tensor(content.background),
        directory=path.parent,
        world=None if content.data_world is None else content.data_world.inverse(),
    )


def _open_ply(path: Path, device: str) -> Opened:
    from trase_ns.scene.ply import read_ply

    scene = _not_empty(DynamicGaussians.at_rest(read_ply(path).to(device)), path)
    return Opened(scene, path.stem, path, surround(scene), directory=path.parent)


def _not_empty(scene: DynamicGaussians, path: Path) -> DynamicGaussians:
    if not len(scene):
        raise UserError(f"{path} holds no Gaussians: there is nothing to look at.")
    return scene
