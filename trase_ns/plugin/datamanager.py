"""Streams pictures and mask sets from disk, with bounded memory, a step ahead of the training."""

from __future__ import annotations

import random
from collections import OrderedDict
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from copy import deepcopy
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from threading import Lock

from nerfstudio.cameras.cameras import Cameras
from nerfstudio.data.datamanagers.full_images_datamanager import FullImageDatamanager, FullImageDatamanagerConfig

from trase_ns.console import warn
from trase_ns.errors import UserError
from trase_ns.masks import MaskSet, MaskSource, open_masks
from trase_ns.plugin.dataparser import TraseDataParserConfig
from trase_ns.plugin.dataset import TraseDataset
from trase_ns.plugin.keeps_up import KeepsUp
from trase_ns.plugin.masks import pinhole_masks
from trase_ns.plugin.preset import preset
from trase_ns.plugin.sampling import FrameSampler, fullest_moment

# Frames whose masks are counted to find the moment from which things are followed.
_COUNTED = 100


@dataclass
class TraseDataManagerConfig(KeepsUp, FullImageDatamanagerConfig):
    """How pictures and masks reach the training."""

    _target: type = field(default_factory=lambda: TraseDataManager)
    dataparser: TraseDataParserConfig = field(default_factory=TraseDataParserConfig)
    masks: Path | None = None
    """Folder of the masks. Default: DATA/masks."""
    window_from: int = field(default_factory=lambda: preset().window_from)
    """Step from which the times that are trained on spread from one moment, the one of most masks, to the whole video.
    What moves far is so followed from where it is known instead of being averaged away."""
    window_until: int = field(default_factory=lambda: preset().window_until)
    """Step from which all times are trained on, at the latest after 0.6 of the geometry steps. 0: all at once."""
    window_start: float = field(default_factory=lambda: preset().window_start)
    """Share of the frames that is trained on at first."""
    image_cache_mb: int = 64
    """Memory for decoded pictures; what does not fit is read again."""


class PictureStream:
    """Pictures of a data set by index, decoded on demand, the latest kept within a budget of bytes."""

    def __init__(self, dataset: TraseDataset, budget: int):
        self.dataset = dataset
        self.budget = budget
        self._cache: OrderedDict[int, dict] = OrderedDict()
        self._bytes = 0
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> dict:
        with self._lock:
            if index in self._cache:
                self._cache.move_to_end(index)
                return dict(self._cache[index])
        data = self.dataset.get_data(index, image_type="uint8")
        size = data["image"].numel()
        with self._lock:
            if index not in self._cache and size <= self.budget:
                self._cache[index] = data
                self._bytes += size
                while self._bytes > self.budget:
                    _, oldest = self._cache.popitem(last=False)
                    self._bytes -= oldest["image"].numel()
        return dict(data)


class EvaluationViews:
    """The held-out views as (camera, batch) pairs, each read when it is asked for."""

    def __init__(self, manager: TraseDataManager):
        self.manager = manager

    def __len__(self) -> int:
        return len(self.manager.eval_dataset)

    def __iter__(self) -> Iterator[tuple[Cameras, dict]]:
        for index in range(len(self)):
            yield self.manager.eval_view(index)


class TraseDataManager(FullImageDatamanager[TraseDataset]):
    """Nerfstudio's full-image data manager, reading from disk instead of memory, with the masks of each frame."""

    config: TraseDataManagerConfig
    train_dataset: TraseDataset
    eval_dataset: TraseDataset

    def __init__(self, config: TraseDataManagerConfig, *args, **kwargs):
        super().__init__(config, *args, **kwargs)
        self.train_cameras = self.train_dataset.cameras.to(self.device)
        self.sampler = FrameSampler(
            [frame.time for frame in self.train_dataset.frames],
            config.window_from,
            config.window_until,
            config.window_start,
            config.train_cameras_sampling_seed,
            self._centre(),
        )
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="trase-pictures")
        self._ahead: tuple[int, Future] | None = None

    def _centre(self) -> float | None:
        """Return the moment that the window of times grows from: that of most masks, where one camera films."""
        frames = self.train_dataset.frames
        times = [frame.time for frame in frames]
        if self.config.window_until <= 0 or self.mask_source is None or len(frames) >= 2 * len(set(times)):
            return None
        shown = [i for i, frame in enumerate(frames) if frame.name in self.mask_source]
        shown = shown[:: max(len(shown) // _COUNTED, 1)]
        counts = [len(self.mask_set(i) or ()) for i in shown]
        return fullest_moment([times[i] for i in shown], counts) if shown else None

    @cached_property
    def dataset_type(self) -> type[TraseDataset]:
        """Class of the data sets."""
        return TraseDataset

    @cached_property
    def cached_train(self) -> PictureStream:  # type: ignore[override]
        """Pictures of the training split."""
        return PictureStream(self.train_dataset, self.config.image_cache_mb * 2**20)

    @cached_property
    def cached_eval(self) -> PictureStream:  # type: ignore[override]
        """Pictures of the held-out split."""
        return PictureStream(self.eval_dataset, self.config.image_cache_mb * 2**20 // 8)

    @cached_property
    def mask_source(self) -> MaskSource | None:
        """The masks of the capture, or None where there is no folder of masks."""
        folder = self.config.masks or self.get_datapath() / "masks"
        if self.config.masks is not None and not folder.is_dir():
            raise UserError(f"--pipeline.datamanager.masks: there is no folder {folder}")
        if not folder.is_dir():
            return None
        return open_masks(folder, [frame.name for frame in self.train_dataset.frames])

    def require_masks(self) -> None:
        """Check that the training can have masks; frames without masks are only reported.

        Raises:
            UserError: no training frame has masks; the message names the command that makes them.
        """
        source = self.mask_source
        names = [frame.name for frame in self.train_dataset.frames]
        missing = [name for name in names if source is None or name not in source]
        if len(missing) == len(names):
            folder = self.config.masks or self.get_datapath() / "masks"
            raise UserError(
                f"no masks for the training frames in {folder}. Make them first:\n"
                f"    trase masks --data {self.get_datapath()}\n"
                "or train the geometry alone with --pipeline.model.feature-steps 0"
            )
        if missing:
            shown = ", ".join(missing[:3]) + (", ..." if len(missing) > 3 else "")
            warn(f"{len(missing)} of {len(names)} training frames have no masks ({shown}); going on without them")

    def mask_set(self, index: int) -> MaskSet | None:
        """Return the masks of training frame `index`, undistorted like its picture, or None where it has none."""
        frame = self.train_dataset.frames[index]
        source = self.mask_source
        if source is None or frame.name not in source:
            return None
        return pinhole_masks(source.load(frame.name, (frame.width, frame.height)), frame)

    def next_train(self, step: int) -> tuple[Cameras, dict]:
        """Return a camera and its batch: "image", "frame_index" and "mask_set" (None for a frame without masks)."""
        index = self.sampler.next(step)
        if self._ahead is not None and self._ahead[0] == index:
            data = self._ahead[1].result()
        else:
            data = self._train_view(index)
        following = self.sampler.peek()
        if following is not None:
            self._ahead = (following, self._worker.submit(self._train_view, following))
        data["image"] = data["image"].to(self.device)
        camera = self.train_cameras[index : index + 1]
        # The window of times for the deformation, which follows things into new moments.
        reach, new = self.sampler.reach(step), self.sampler.is_new(index, step)
        camera.metadata = {"cam_idx": index, "reach": reach, "new": new}
        return camera, data

    def _train_view(self, index: int) -> dict:
        return {**self.cached_train[index], "frame_index": index, "mask_set": self.mask_set(index)}

    def eval_view(self, index: int) -> tuple[Cameras, dict]:
        """Return held-out view `index` as a camera and its batch."""
        data = self.cached_eval[index]
        data["image"] = data["image"].to(self.device)
        return deepcopy(self.eval_dataset.cameras[index : index + 1]).to(self.device), data

    def next_eval_image(self, step: int) -> tuple[Cameras, dict]:
        """Return a held-out view, each once before any comes again."""
        index = self.eval_unseen_cameras.pop(random.randint(0, len(self.eval_unseen_cameras) - 1))
        if not self.eval_unseen_cameras:
            self.eval_unseen_cameras = list(range(len(self.eval_dataset)))
        return self.eval_view(index)

    @property
    def fixed_indices_eval_dataloader(self) -> EvaluationViews:  # type: ignore[override]
        """The held-out views in order."""
        return EvaluationViews(self)

    def get_train_rays_per_batch(self) -> int:
        """Pixels of a training picture, without reading one."""
        cameras = self.train_dataset.cameras
        return int(cameras.width[0]) * int(cameras.height[0])

    def __del__(self):
        if hasattr(self, "_worker"):
            self._worker.shutdown(wait=False, cancel_futures=True)
