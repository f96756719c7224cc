"""What the viewer's panel does, without a viewer: clicks to a selection of Gaussians, and who is told of it."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from trase_ns.errors import UserError
from trase_ns.scene.moments import Moments
from trase_ns.segmentation.pictures import Overlay, segment_colours, selection_overlay

if TYPE_CHECKING:
    from trase_ns.scene.camera import Camera
    from trase_ns.scene.gaussians import DynamicGaussians, Gaussians
    from trase_ns.segmentation.clicks import Prompt
    from trase_ns.segmentation.objects import Segmentation

GRANULARITIES = ("auto", "coarse", "fine")


@dataclass(frozen=True)
class Counts:
    """How much is selected: Gaussians, of how many, in how many objects."""

    gaussians: int
    total: int
    objects: int


@dataclass(frozen=True)
class State:
    """A selection and what made it; never changed, only replaced.

    Attributes:
        prompts: the clicks, oldest first.
        similarity: least cosine similarity of a selected Gaussian to its object, in [0, 1].
        mask: bool [N], the selected Gaussians; None where nothing is selected.
        objects: the objects selected, whole or in part.
        means: the means that `mask` counts. Holding them keeps their memory from being used again, so a scene whose
            means lie elsewhere is known to be another one even if it has as many Gaussians.
        message: what the last operation has to say, empty where there is nothing to say.
    """

    prompts: tuple[Prompt, ...] = ()
    similarity: float = 0.0
    mask: Tensor | None = None
    objects: tuple[int, ...] = ()
    means: Tensor | None = None
    message: str = ""


class SegmentationController:
    """The selection of a scene that may be in training, for any front end.

    The state is one immutable value that is replaced as a whole: reading it never waits. Operations are serialised by
    a lock; observers are called after it is released, in the thread of the operation.

    Args:
        scene: returns the scene as it is now. Its tensors must share the memory of the trained parameters (views or
            the parameters themselves), because that is how a densified scene is told from the one that was clicked.
        segmentation: returns the objects of the scene, or None as long as there are none.
        overlay: how the selection is shown.
        moments: where the Gaussians at the times of clicks are kept; give that of the renderer, which has them already.
    """

    def __init__(
        self,
        scene: Callable[[], DynamicGaussians],
        segmentation: Callable[[], Segmentation | None],
        overlay: Overlay | None = None,
        moments: Moments | None = None,
    ):
        self.overlay = overlay or Overlay()
        self._scene = scene
        self._segmentation = segmentation
        self._moments = moments or Moments()
        self._state = State()
        self._lock = threading.Lock()
        self._observers: list[Callable[[], None]] = []

    @property
    def state(self) -> State:
        """The selection as it is now."""
        return self._state

    def subscribe(self, observer: Callable[[], None]) -> Callable[[], None]:
        """Call `observer` after each change; returns a function that ends it."""
        self._observers.append(observer)
        return lambda: self._observers.remove(observer)

    def click(self, camera: Camera, x: float, y: float, subtract: bool = False, granularity: str = "auto") -> None:
        """Add what is seen at a pixel to the selection, or take it away.

        Args:
            camera: the view that was clicked, with its time.
            x, y: position in pixels, x right, y down, (0, 0) the upper left corner of the picture.
            subtract: take away instead of add.
            granularity: "coarse", "fine" or "auto".

        Raises:
            UserError: the click is outside the picture, on nothing, or changes nothing, or there are no objects yet;
                the selection is then as it was and the click is forgotten.
        """
        from trase_ns.segmentation.clicks import Prompt

        if not (0 <= x < camera.width and 0 <= y < camera.height):  # NaN is outside as well
            raise UserError(f"click at ({x:g}, {y:g}): outside the picture of {camera.width} x {camera.height} pixels")
        if granularity not in GRANULARITIES:
            raise UserError(f"granularity {granularity!r}: use one of {', '.join(GRANULARITIES)}")
        prompt = Prompt(camera, x, y, not subtract, None if granularity == "auto" else granularity)
        with self._lock:
            scene = self._scene()
            state = self._state
            before = state.mask if self._fits(state, scene) else None
            if subtract and before is None:
                raise UserError("nothing is selected yet: click without subtract first")
            kept = () if before is None else state.prompts
            clicked = self._selected(scene, replace(state, prompts=(*kept, prompt)))
            assert clicked.mask is not None
            if before is not None and torch.equal(before, clicked.mask):
                reason = clicked.message or "it is selected already, or an earlier click took it away"
                raise UserError(f"the click changes nothing: {reason}")
            self._state = clicked
        self._notify()

    def set_similarity(self, value: float) -> None:
        """Set the least similarity of a selected Gaussian to its object, and select anew by the same clicks.

        Args:
            value: cosine similarity; 0 keeps all Gaussians of an object. Values outside [0, 1] are brought into it.

        Raises:
            UserError: `value` is not a number; the selection is then as it was.
        """
        if value is None or not math.isfinite(value):
            raise UserError(f"similarity threshold {value}: use a number from 0 to 1")
        value = min(max(float(value), 0.0), 1.0)
        with self._lock:
            scene = self._scene()
            state = replace(self._state, similarity=value)
            if state.mask is not None and self._fits(state, scene):
                state = self._selected(scene, state)
            self._state = state
        self._notify()

    def clear(self) -> None:
        """Select nothing."""
        with self._lock:
            self._state = State(similarity=self._state.similarity)
        self._notify()

    def refresh(self) -> None:
        """Drop a selection whose Gaussians are gone: call it after a step that may have changed their number."""
        with self._lock:
            state = self._state
            if state.mask is None or self._fits(state, self._scene()):
                return
            message = "Training changed the Gaussians: the selection was dropped, click again."
            self._state = State(similarity=state.similarity, message=message)
        self._notify()

    def selection(self) -> Tensor | None:
        """Return the selected Gaussians of the scene as it is now, bool [N]; None where nothing is selected."""
        state = self._state
        return state.mask if state.mask is not None and self._fits(state, self._scene()) else None

    def counts(self) -> Counts:
        """Return how much is selected."""
        mask = self.selection()
        total = len(self._scene())
        return Counts(0, total, 0) if mask is None else Counts(int(mask.sum()), total, len(self._state.objects))

    @torch.no_grad()
    def pictures(
        self, gaussians: Gaussians, camera: Camera, rgb: Tensor, keep: Tensor | None = None, **options: Any
    ) -> dict[str, Tensor]:
        """Render the objects and the selection; one pass for both.

        Args:
            gaussians: the Gaussians of the scene at the camera's time, or M of them.
            camera: the view.
            rgb: [H, W, 3] its picture in [0, 1].
            keep: bool [N] or integers [M], which Gaussians of the scene `gaussians` holds; None for all.
            options: further options of `render_view`.

        Returns:
            "segments": [H, W, 3], the objects in their colours, grey where there is none. "selection": [H, W, 3],
            the picture with the selection tinted and all else dimmed; the picture itself where nothing is selected.
        """
        from trase_ns.render import render_view

        count = len(gaussians) if keep is None else len(self._scene())
        segmentation, selected = self._segmentation(), self.selection()
        colours = None if segmentation is None else segment_colours(segmentation, count)
        values = [] if colours is None else [colours.to(rgb.device)]
        if selected is not None and len(selected) == count:
            values.append(selected[:, None].to(rgb))
        pictures = {"segments": rgb.mean(-1, keepdim=True).expand_as(rgb), "selection": rgb}
        if not values:
            return pictures
        colors = torch.cat(values, dim=-1)
        picture = render_view(gaussians, camera, colors if keep is None else colors[keep], **options).color
        if colours is not None:
            pictures["segments"] = picture[..., :3].clamp(0.0, 1.0)
        if len(values) > (colours is not None):
            pictures["selection"] = selection_overlay(rgb, picture[..., -1:], self.overlay)
        return pictures

    @staticmethod
    def _fits(state: State, scene: DynamicGaussians) -> bool:
        """Whether the selection was made of the Gaussians that `scene` has now."""
        means = state.means
        return means is not None and means.shape == scene.means.shape and means.data_ptr() == scene.means.data_ptr()

    @torch.no_grad()
    def _selected(self, scene: DynamicGaussians, state: State) -> State:
        """Return `state` with the selection that its prompts make in `scene`."""
        from trase_ns.segmentation.clicks import select
        from trase_ns.segmentation.filtering import has_features

        scene, segmentation = scene.detach(), self._segmentation()
        if segmentation is not None:
            if len(segmentation.labels) != len(scene):
                raise UserError("the objects belong to an earlier state of the scene: they are found anew by training")
            segmentation = segmentation.to(scene.device)
        elif not has_features(scene.features):
            raise UserError("there are no objects yet: they are found at the end of training")
        at = partial(self._moments.at, scene)
        selection = select(scene, segmentation, list(state.prompts), similarity=state.similarity, at=at)
        left = [i for i in selection.objects if segmentation and bool(selection.mask[segmentation.members(i)].any())]
        latest = f"click {len(state.prompts)} "
        return replace(
            state,
            mask=selection.mask,
            objects=tuple(left),
            means=scene.means,
            message=" ".join(note for note in selection.notes if note.startswith(latest)),
        )

    def _notify(self) -> None:
        for observer in tuple(self._observers):
            observer()
