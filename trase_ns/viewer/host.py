"""What a panel needs of the viewer that it lives in: Nerfstudio's own, or ours without Nerfstudio."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import viser
import viser.transforms

from trase_ns.scene.camera import Camera
from trase_ns.viewer.player import Player

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


class Spot(NamedTuple):
    """A place on the picture that a page shows: the view, with its time, and x right, y down in its pixels."""

    camera: Camera
    x: float
    y: float


class Region(NamedTuple):
    """A rectangle on the picture that a page shows: the view, with its time, and bounds in its pixels."""

    camera: Camera
    left: float
    top: float
    right: float
    bottom: float


class Host(ABC):
    """A viewer: a viser server that shows a scene to any number of pages, each from its own camera, all at one time.

    Attributes:
        server: where a panel adds its elements.
        scale: viser's units in a unit of the scene; both have the same axes.
        times: the moments of the scene in [0, 1], ascending; one for a scene at rest.
        order: place of a panel's folder among the viewer's own.
        player: moves the time.
        cameras: views of the scene with their times, for what looks at it by itself; may be empty.
    """

    server: viser.ViserServer
    scale: float
    times: tuple[float, ...]
    order: float
    player: Player
    cameras: Sequence[Camera]

    @property
    @abstractmethod
    def lock(self) -> AbstractContextManager:
        """Hold it while the scene is read or edited: it keeps training and rendering out. It cannot be held twice.

        Never wait for it in viser's callbacks of pages that come and go: they run under a lock of viser's own.
        """

    @property
    @abstractmethod
    def time(self) -> float:
        """The time that all pages show, in [0, 1]; setting it shows another."""

    @time.setter
    @abstractmethod
    def time(self, value: float) -> None: ...

    @abstractmethod
    def camera(self, client: viser.ClientHandle) -> Camera:
        """Return what a page looks at now: its view, the time, and the size of the picture that it shows at rest.

        Raises:
            UserError: the view is not a perspective one.
        """

    @abstractmethod
    def rerender(self) -> None:
        """Show new pictures in all pages, because something else than camera and time has changed."""

    @abstractmethod
    def show_output(self, name: str) -> None:
        """Show the output `name`, such as "rgb" or "selection", in all pages; nothing happens where there is none."""

    @abstractmethod
    def place(self, client: viser.ClientHandle) -> None:
        """Let a page look at the scene as it does at the start."""

    def look(self, client: viser.ClientHandle, camera: Camera) -> None:
        """Let a page look from where `camera` stands, in its direction; size and angle of the picture stay."""
        rotation = viser.transforms.SO3.from_matrix(camera.viewmat[:3, :3].T.double().numpy(force=True))
        with client.atomic():
            client.camera.position = self.to_page(camera.position.numpy(force=True))
            client.camera.wxyz = rotation.wxyz

    def to_page(self, points: ArrayLike) -> NDArray[np.float64]:
        """Return points [..., 3] of the scene in viser's units, where gizmos stand."""
        return np.asarray(points, dtype=np.float64) * self.scale

    def to_scene(self, points: ArrayLike) -> NDArray[np.float64]:
        """Return points [..., 3] in viser's units in those of the scene."""
        return np.asarray(points, dtype=np.float64) / self.scale

    def spot(self, event: viser.ScenePointerEvent) -> Spot:
        """Return what a page was clicked at, as it looks now: call it before waiting for a lock.

        Raises:
            UserError: the view is not a perspective one.
        """
        camera = self.camera(event.client)
        return Spot(camera, *self._position(event, 0, camera))

    def region(self, event: viser.ScenePointerEvent) -> Region:
        """Return the rectangle that was drawn on a page ("rect-select"), within the picture, as it looks now.

        Raises:
            UserError: the view is not a perspective one.
        """
        camera = self.camera(event.client)
        (x0, y0), (x1, y1) = self._position(event, 0, camera), self._position(event, 1, camera)
        left, right = np.clip(sorted((x0, x1)), 0, camera.width)
        top, bottom = np.clip(sorted((y0, y1)), 0, camera.height)
        return Region(camera, float(left), float(top), float(right), float(bottom))

    @staticmethod
    def _position(event: viser.ScenePointerEvent, corner: int, camera: Camera) -> tuple[float, float]:
        screen = event.screen_pos[corner]
        return picture_position(screen, event.client.camera.aspect, camera.width, camera.height)


def moment(value: Any) -> float:
    """Return a time that somebody gave as one that can be shown, in [0, 1]; 0 where it is no number."""
    if not isinstance(value, (int, float)) or not math.isfinite(value):
        return 0.0
    return float(min(max(value, 0), 1))


def picture_position(screen: tuple[float, float], aspect: float, width: int, height: int) -> tuple[float, float]:
    """Return where on the picture a page was clicked, in pixels; outside it on the bars beside the picture.

    Args:
        screen: position as fractions of the page's canvas, x right, y down.
        aspect: width / height of the canvas; the picture lies in its middle and fills it in one direction.
        width, height: size of the picture in pixels.
    """
    ratio = aspect / (width / height)
    x = 0.5 + (screen[0] - 0.5) * max(ratio, 1.0)
    y = 0.5 + (screen[1] - 0.5) * max(1.0 / ratio, 1.0)
    return x * width, y * height
