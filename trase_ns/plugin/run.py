"""A finished run, loaded for the commands."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import torch
import yaml
from torch import Tensor

from trase_ns.capture.frame import Frame
from trase_ns.errors import UserError
from trase_ns.learning.feature_space import FeatureSpace
from trase_ns.learning.uplift import MaskWeights
from trase_ns.masks import MaskSource
from trase_ns.plugin import checkpoints
from trase_ns.plugin.datamanager import TraseDataManager
from trase_ns.plugin.dataset import TraseDataset
from trase_ns.plugin.find import lifted_masks
from trase_ns.plugin.model import TraseModel, TraseModelConfig, extra_state
from trase_ns.plugin.trainer import TraseTrainerConfig
from trase_ns.scene.arrangement import Arrangement, compact
from trase_ns.scene.baked import KeyTimes, bake
from trase_ns.scene.camera import Camera
from trase_ns.scene.gaussians import DynamicGaussians
from trase_ns.segmentation.objects import Segmentation

# A baked motion is off by at most this share of the size of the selection.
_EXACT = 1e-3


@dataclass(frozen=True)
class RunFrame:
    """A frame of the run's data set, as the run sees it.

    Attributes:
        name: name of the frame in its capture.
        split: "train" or "test".
        time: moment in [0, 1].
        camera: view at training resolution, in the training world.
        image_path: the picture.
        source_size: width and height of the picture in pixels.
        dataset: the split that holds the frame.
        index: its place in the split.
    """

    name: str
    split: str
    time: float
    camera: Camera
    image_path: Path
    source_size: tuple[int, int]
    dataset: TraseDataset
    index: int

    @property
    def source(self) -> Frame:
        """The frame in its capture: picture, size and lens."""
        return self.dataset.frames[self.index]

    def image(self) -> Tensor:
        """Return the picture at training resolution, [H, W, 3] float32 in [0, 1]; transparency becomes black."""
        picture = self.dataset.get_image_float32(self.index)
        return picture[..., :3] * picture[..., 3:] if picture.shape[-1] == 4 else picture


class Run:
    """A trained run: scene, objects, frames and masks.

    Args:
        config_path: config.yml of the run.
        config: what it says.
        pipeline: the loaded pipeline.
        checkpoint: the file that it was loaded from.
    """

    def __init__(self, config_path: Path, config: TraseTrainerConfig, pipeline: Any, checkpoint: Path):
        self.config_path = config_path
        self.config = config
        self.pipeline = pipeline
        self.checkpoint = checkpoint

    @property
    def directory(self) -> Path:
        """Folder of the run."""
        return self.config_path.parent

    @property
    def model(self) -> TraseModel:
        """The trained model."""
        return cast(TraseModel, self.pipeline.model)

    @property
    def datamanager(self) -> TraseDataManager:
        """Its data."""
        return cast(TraseDataManager, self.pipeline.datamanager)

    @property
    def scene(self) -> DynamicGaussians:
        """The trained scene, without gradients."""
        return self.model.scene.detach()

    @property
    def segmentation(self) -> Segmentation | None:
        """The objects that the checkpoint holds, or None."""
        return self.model.segmentation

    @property
    def space(self) -> FeatureSpace | None:
        """What the numbers of the features mean, where these were made of feature maps."""
        return self.model.space

    @property
    def masks(self) -> MaskSource | None:
        """The masks of the capture, or None."""
        return self.datamanager.mask_source

    @property
    def background(self) -> Tensor:
        """[3] colour behind the Gaussians."""
        return self.model.background_color.to(self.model.device)

    @property
    def world_transform(self) -> tuple[Tensor, float]:
        """[3, 4] transform and scale that took the data set's world to the training world (first one, then other)."""
        outputs = self.datamanager.train_dataparser_outputs
        return outputs.dataparser_transform, outputs.dataparser_scale

    @cached_property
    def frames(self) -> list[RunFrame]:
        """All frames, in the order of their times and names."""
        found: dict[str, RunFrame] = {}
        for split, dataset in (("train", self.datamanager.train_dataset), ("test", self.datamanager.eval_dataset)):
            for index, frame in enumerate(dataset.frames):
                camera = dataset.camera(index).to(self.model.device)
                size = (frame.width, frame.height)
                entry = RunFrame(frame.name, split, frame.time, camera, frame.image_path, size, dataset, index)
                found.setdefault(frame.name, entry)
        return sorted(found.values(), key=lambda frame: (frame.time, frame.name))

    def frame(self, name: str) -> RunFrame:
        """Return a frame by its name, with or without suffix and folder.

        Raises:
            UserError: there is no such frame, or several.
        """
        known = {frame.name: frame for frame in self.frames}
        key = self.datamanager.dataparser.capture.frame(name).name  # type: ignore[attr-defined]
        if key not in known:
            raise UserError(f"frame {name!r} is in no split that the run was trained or tested on")
        return known[key]

    def lifted_masks(self) -> MaskWeights | None:
        """Lift the masks of the training frames into the scene; None where no frame has masks."""
        return lifted_masks(self.model, self.datamanager)


def load_run(config_path: Path, device: str | None = None) -> Run:
    """Load the newest good checkpoint of a run.

    config.yml is Nerfstudio's: it is loaded as Python objects, so take it only from people whose code you would run.

    Args:
        config_path: config.yml of the run, or its folder.
        device: "cpu" or "cuda"; by default a GPU where there is one.

    Raises:
        UserError: no such file, a run of another method, no good checkpoint, or data that are gone.
    """
    path = Path(config_path)
    path = path / "config.yml" if path.is_dir() else path
    config = read_config(path)
    state_path, state = checkpoints.load_newest(path.parent / config.relative_model_dir)
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    pipeline = config.pipeline.setup(device=device, test_mode="test")
    try:
        pipeline.load_pipeline(state["pipeline"], state["step"])
    except (KeyError, RuntimeError) as error:
        raise UserError(f"{state_path} does not fit {path}: the two belong to different runs") from error
    pipeline.eval()
    return Run(path, config, pipeline, state_path)


def read_config(path: Path) -> TraseTrainerConfig:
    """Read a run's config.yml, which is loaded as Python objects: see `load_run`.

    Raises:
        UserError: no such file, or no run of ours.
    """
    # Loading the method registry first lets config.yml name the classes of every installed method.
    from nerfstudio.configs import method_configs  # noqa: F401

    if not path.is_file():
        raise UserError(f"there is no run at {path}: name the config.yml that ns-train wrote")
    try:
        config = yaml.load(path.read_text(encoding="utf8"), Loader=yaml.Loader)
    except Exception as error:  # config.yml builds Python objects; anything can go wrong in it
        raise UserError(f"{path} cannot be read as a run's config.yml ({type(error).__name__}: {error})") from error
    if not isinstance(config, TraseTrainerConfig):
        method = getattr(config, "method_name", None)
        raise UserError(f"{path} is a run of {method or 'another program'}, not of trase: train with ns-train trase")
    return config


def save_segmentation(run: Run, segmentation: Segmentation) -> Path:
    """Put objects into the run's checkpoint, in place of those that it held.

    Returns:
        The checkpoint file.
    """
    state = checkpoints.load(run.checkpoint)
    state["pipeline"]["_model._extra_state"] = extra_state(segmentation, run.space)
    checkpoints.write(run.checkpoint, state)
    run.model.segmentation = segmentation
    return run.checkpoint


def extract_run(
    run: Run, scene: DynamicGaussians, mask: Tensor, segmentation: Segmentation | None, output_dir: Path
) -> Path:
    """Write a run that holds only some Gaussians; all of Nerfstudio's tools work on it.

    Args:
        run: where they come from.
        scene: its scene, M Gaussians as they were edited; a motion of several parts is baked to key times.
        mask: [M] bool, the Gaussians to keep.
        segmentation: the objects of `scene`, or None.
        output_dir: as for ns-train; the run goes to output_dir/EXPERIMENT/trase/TIMESTAMP.

    Returns:
        config.yml of the new run.

    Raises:
        UserError: nothing is selected, or the folder cannot be written.
    """
    if not bool(mask.any()):
        raise UserError("nothing is selected: a run without Gaussians is of no use")
    config = read_config(run.config_path)
    model = cast(TraseModelConfig, config.pipeline.model)
    part = compact(scene.subset(mask))
    if isinstance(part.field, (Arrangement, KeyTimes)):
        baked = bake(part, _EXACT * float(part.means.std(dim=0).norm().clamp_min(1e-6)), half=False).scene
        part = baked
        model.field_type, model.field_keys = "keys", len(cast(KeyTimes, baked.field).times)
    model.deformation = part.field is not None
    model.sh_degree = round((1 + part.sh_rest.shape[1]) ** 0.5) - 1
    state = checkpoints.load(run.checkpoint)
    others = {k: v for k, v in state["pipeline"].items() if not k.startswith(("_model.gauss_params.", "_model.field."))}
    tensors = {
        "means": part.means,
        "quats": part.quats,
        "scales": part.log_scales,
        "opacities": part.logit_opacities[:, None],
        "features_dc": part.sh0,
        "features_rest": part.sh_rest,
        "object_features": part.features,
        **({} if part.motion is None else {"motion": part.motion.float()}),
    }
    pipeline = {**others, **{f"_model.gauss_params.{k}": v.detach().cpu().clone() for k, v in tensors.items()}}
    if part.field is not None:
        pipeline |= {f"_model.field.{k}": v.detach().cpu().clone() for k, v in part.field.state_dict().items()}
    objects = None if segmentation is None else segmentation.to("cpu").subset(mask.cpu())
    pipeline["_model._extra_state"] = extra_state(objects, run.space)
    # Optimizers belong to the whole scene; a selection is for looking at, not for training on.
    derived = {**state, "pipeline": pipeline, "optimizers": {}, "schedulers": {}}
    return write_derived(config, derived, "selection", output_dir)


def write_derived(config: TraseTrainerConfig, state: dict[str, Any], suffix: str, output_dir: Path) -> Path:
    """Write a run that was made of another.

    Args:
        config: that of the other run, with what is different changed.
        state: its checkpoint.
        suffix: of the experiment's name.
        output_dir: as for ns-train; the run goes to output_dir/EXPERIMENT-suffix/trase/TIMESTAMP.

    Returns:
        config.yml of the new run.

    Raises:
        UserError: the folder cannot be written.
    """
    config.output_dir = Path(output_dir)
    config.load_dir = config.load_checkpoint = None
    config.experiment_name = f"{config.experiment_name}-{suffix}"
    folder = config.get_base_dir()
    checkpoints.save_checkpoint(folder / config.relative_model_dir, state["step"], state, keep=1)
    config.save_config()
    return folder / "config.yml"
