"""Training pictures by their time, for what looks at many of them at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from torch import Tensor

from trase_ns.plugin.cameras import scene_camera
from trase_ns.scene.camera import Camera

if TYPE_CHECKING:
    from trase_ns.plugin.datamanager import TraseDataManager


class TrainingViews:
    """Cameras of training frames and what they took.

    Args:
        manager: where they come from.
        picture: turns the manager's batch into a picture, float [H, W, 3] in [0, 1].
    """

    def __init__(self, manager: TraseDataManager, picture: Callable[[dict], Tensor]):
        self.manager = manager
        self.picture = picture

    def spread(self, count: int) -> Iterator[tuple[Camera, Tensor]]:
        """Yield at most `count` views, evenly spread over the frames."""
        frames = len(self.manager.train_dataset)
        for index in sorted({round(k * (frames - 1) / max(count - 1, 1)) for k in range(count)}):
            yield self._view(index)

    def at(self, key: int, keys: int) -> list[tuple[Camera, Tensor]]:
        """Return the views whose moment is nearest to key time `key` of `keys` that are evenly spaced."""
        frames = self.manager.train_dataset.frames
        return [self._view(i) for i, frame in enumerate(frames) if round(frame.time * (keys - 1)) == key]

    def _view(self, index: int) -> tuple[Camera, Tensor]:
        cameras = self.manager.train_cameras[index : index + 1]
        return scene_camera(cameras, self.manager.device), self.picture(self.manager.cached_train[index])
