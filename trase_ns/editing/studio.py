"""The studio without a window: selecting, editing and undoing in a scene that may be in training, for any front end."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor

from trase_ns.editing import operations
from trase_ns.editing.apply import Edited
from trase_ns.editing.edits import UNSELECTED, Edits, SceneObject, objects_of, segmentation_of
from trase_ns.editing.history import History
from trase_ns.errors import UserError
from trase_ns.scene.moments import Moments, state_of

if TYPE_CHECKING:
    from trase_ns.editing.session import SessionFolder
    from trase_ns.learning.feature_space import FeatureSpace
    from trase_ns.scene.camera import Camera
    from trase_ns.scene.gaussians import DynamicGaussians
    from trase_ns.segmentation.clicks import Hit
    from trase_ns.segmentation.objects import Segmentation

GRANULARITIES = ("auto", "coarse", "fine")
# An object is selected if this share of it is: the filter and other tools may have dropped some of it.
WHOLE = 0.8
Mode = Literal["add", "subtract", "replace"]


@dataclass(frozen=True)
class Counts:
    """How much is selected: Gaussians, of how many that are shown, and how many objects as a whole."""

    gaussians: int
    total: int
    objects: int


@dataclass(frozen=True)
class _Clicks:
    """Clicks one after the other: what was selected before them, what they hit, and the edits that they led to."""

    ground: Tensor
    hits: tuple[Hit, ...]
    led_to: Edits


class Studio:
    """An edited scene with its selection, objects and history.

    Reading never waits: what there is to see is one immutable value, `edits`, replaced as a whole. Operations are
    serialised by a lock; observers are called after it is released, in the thread of the operation. Nothing here ever
    writes to the trained parameters.

    Args:
        base: returns the trained scene as it is now. Its tensors must share the memory of the trained parameters
            (views or the parameters themselves), because that is how a densified scene is told from the one before.
        segmentation: returns the objects of the trained scene, or None as long as there are none.
        moments: where the Gaussians at the times of clicks are kept; give that of the renderer, which has them already.
        folder: where the session is kept; None for nowhere.
        names: a name for each of the trained objects, or none at all.
        space: returns what the features of the trained scene mean, or None where that is not known.
    """

    def __init__(
        self,
        base: Callable[[], DynamicGaussians],
        segmentation: Callable[[], Segmentation | None],
        moments: Moments | None = None,
        folder: SessionFolder | None = None,
        names: tuple[str, ...] = (),
        space: Callable[[], FeatureSpace | None] = lambda: None,
    ):
        self.moments = moments or Moments()
        self.folder = folder
        self.space = space
        self.view: dict[str, Any] = {}
        self.similarity = 0.0
        self.message = ""
        self._base = base
        self._trained_objects = segmentation
        self._names = names
        self._adopted: Segmentation | None = None
        self._means: Tensor | None = None  # held, so that no other scene gets their memory
        self._history = History(Edits.none(0))
        self._clicks: _Clicks | None = None
        self._live: tuple[str, Edits] | None = None
        self._shown: tuple[list[tuple], Edited] | None = None
        self._objects: tuple[Edits, Segmentation] | None = None
        self._lock = threading.RLock()
        self._observers: list[Callable[[], None]] = []
        self._sync()

    # What there is

    @property
    def edits(self) -> Edits:
        """The edited scene as it is now."""
        return self._history.edits

    @property
    def objects(self) -> tuple[SceneObject, ...]:
        """The objects, in the order of the list."""
        return self.edits.objects

    @property
    def steps(self) -> list[str]:
        """What was done, oldest first, what was undone at the end."""
        return self._history.labels

    @property
    def position(self) -> int:
        """Number of steps that are done."""
        return self._history.position

    def trained(self) -> DynamicGaussians:
        """Return the trained scene, N Gaussians, without gradients."""
        return self._base().detach()

    def scene(self) -> DynamicGaussians:
        """Return the edited scene, M Gaussians; made anew only where edits or training changed something."""
        base, edits = self._base(), self.edits
        if not self._fits(base, edits):
            return base.detach()
        shown, state = self._shown, state_of(base)
        if shown is None or shown[0] != state or shown[1].edits is not edits:
            before = shown[1] if shown is not None and shown[0] == state else None
            self._shown = shown = state, Edited(edits, base, before)
        return shown[1].scene

    def segmentation(self) -> Segmentation | None:
        """Return the objects of the list as a segmentation of the edited scene; None where there are none."""
        edits = self.edits
        if not edits.objects or not self._fits(self._base(), edits):
            return None
        kept = self._objects
        if kept is None or kept[0].objects is not edits.objects or len(kept[0]) != len(edits):
            adopted = self._adopted
            untouched = adopted is not None and len(edits) == adopted.gaussians and _same(edits.objects, adopted)
            scene = self.scene()
            made = adopted if untouched else segmentation_of(edits, scene.features if _any(scene.features) else None)
            assert made is not None
            self._objects = kept = edits, made.to(edits.source.device)
        return kept[1]

    def selection(self) -> Tensor | None:
        """Return bool [M], what is selected of the edited scene as it is now; None where nothing is."""
        edits = self.edits
        if not self._fits(self._base(), edits):
            return None
        mask = edits.selected(self.similarity) & ~edits.hidden
        return mask if bool(mask.any()) else None

    def counts(self) -> Counts:
        """Return how much is selected."""
        mask, edits, base = self.selection(), self.edits, self._base()
        if not self._fits(base, edits):
            return Counts(0, len(base), 0)
        total = len(edits) - int(edits.hidden.sum())
        if mask is None:
            return Counts(0, total, 0)
        return Counts(int(mask.sum()), total, self._whole_objects(mask))

    def centre(self, time: float) -> Tensor:
        """Return [3], where the middle of the selection is at `time`, or of the whole scene if nothing is selected."""
        means = self.moments.at(self.scene(), time).means
        mask = self.selection()
        return means[~self.edits.hidden if mask is None else mask].median(dim=0).values

    def visible(self, number: int) -> bool:
        """Whether any Gaussian of the object at place `number` of the list is shown."""
        entry = self.objects[number]
        return not bool(self.edits.hidden[entry.rows].all())

    def subscribe(self, observer: Callable[[], None]) -> Callable[[], None]:
        """Call `observer` after each change; returns a function that ends it."""
        self._observers.append(observer)
        return lambda: self._observers.remove(observer)

    def trained_objects(self) -> Segmentation | None:
        """Return the objects that training found, whatever was done to the list since."""
        return self._trained_objects()

    # Selecting

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
        from trase_ns.segmentation.clicks import Prompt, hit, select_hits

        if not (0 <= x < camera.width and 0 <= y < camera.height):  # NaN is outside as well
            raise UserError(f"click at ({x:g}, {y:g}): outside the picture of {camera.width} x {camera.height} pixels")
        prompt = Prompt(camera, x, y, not subtract, _granularity(granularity))
        with self._lock:
            self._sync()
            scene, segmentation = self.scene(), self._objects_or_features()
            before = self.edits.selected()
            if subtract and not bool(before.any()):
                raise UserError("nothing is selected yet: click without subtract first")
            clicks = self._clicks
            if clicks is None or clicks.led_to is not self.edits:
                clicks = _Clicks(before, (), self.edits)
            name = f"click {len(clicks.hits) + 1}"
            gaussians = self.moments.at(scene, camera.time)
            hits = (*clicks.hits, hit(gaussians, segmentation, prompt, name))
            chosen = select_hits(scene, segmentation, list(hits), ground=clicks.ground)
            message = " ".join(note for note in chosen.notes if note.startswith(f"{name} "))
            if torch.equal(before, chosen.mask):
                reason = message or "it is selected already, or an earlier click took it away"
                raise UserError(f"the click changes nothing: {reason}")
            likeness = self._likeness(scene, segmentation, chosen.mask, chosen.objects)
            self._do("subtract" if subtract else "click", operations.select(self.edits, chosen.mask, likeness))
            self._clicks = replace(clicks, hits=hits, led_to=self.edits)
            self.message = message
        self._notify()

    def select(self, label: str, rows: Tensor, mode: Mode = "add", objects: list[int] | None = None) -> None:
        """Change the selection by Gaussians that some tool found.

        Args:
            label: what the step is called.
            rows: bool [M], what was found.
            mode: add it to the selection, take it away, or select it instead.
            objects: the objects that it is made of, for the similarity filter; none by default.

        Raises:
            UserError: the selection stays as it is.
        """
        with self._lock:
            before = self.edits.selected()
            mask = {"add": before | rows, "subtract": before & ~rows, "replace": rows}[mode]
            if torch.equal(mask, before):
                raise UserError(f"{label}: the selection stays as it is")
            likeness = self._likeness(self.scene(), self.segmentation(), mask, objects or [])
            self._do(label, operations.select(self.edits, mask, likeness))
        self._notify()

    def select_object(self, number: int, mode: Mode = "add") -> None:
        """Select the object at place `number` of the list."""
        entry = self._object(number)
        self.select(f"select {entry.name}", self.edits.mask(number), mode, [number])

    def select_all(self) -> None:
        """Select all that is shown."""
        self.select("select all", ~self.edits.hidden)

    def invert(self) -> None:
        """Select what is shown and not selected."""
        self.select("invert", ~self.edits.selected(self.similarity) & ~self.edits.hidden, "replace")

    def clear(self) -> None:
        """Select nothing."""
        with self._lock:
            self._do("select none", replace(self.edits, likeness=torch.full_like(self.edits.likeness, UNSELECTED)))
        self._notify()

    def set_similarity(self, value: float) -> None:
        """Set the least similarity of a selected Gaussian to the object that it was selected with.

        Args:
            value: cosine similarity; 0 keeps all Gaussians of an object. Values outside [0, 1] are brought into it.

        Raises:
            UserError: `value` is not a number; the selection is then as it was.
        """
        if value is None or not math.isfinite(value):
            raise UserError(f"similarity threshold {value}: use a number from 0 to 1")
        self.similarity = min(max(float(value), 0.0), 1.0)
        self._notify()

    # Editing

    def edit(self, label: str, operation: Callable[[Edits, Tensor], Edits]) -> None:
        """Do one of `editing.operations` to the selection.

        Args:
            label: what the step is called.
            operation: takes the edits and bool [M].

        Raises:
            UserError: nothing is selected, or the operation says what is wrong.
        """
        with self._lock:
            self._edit(label, operation)
        self._notify()

    def edit_live(self, key: str, label: str, operation: Callable[[Edits, Tensor], Edits]) -> None:
        """Like `edit`, but a further call with the same `key` takes the place of the one before, as a slider needs.

        The operation always works on the edits before the first call.
        """
        with self._lock:
            again = self._live is not None and self._live[0] == key and self._live[1] is self.edits
            if again:
                self._history.undo()
            before = self.edits
            try:
                self._edit(label, operation)
            except UserError:
                if again:
                    self._history.redo()
                raise
            self._live = (key, self.edits) if self.edits is not before else None
        self._notify()

    def change(self, label: str, operation: Callable[[Edits], Edits]) -> None:
        """Do an operation that needs no selection, as on the list of objects."""
        with self._lock:
            self._sync()
            self._do(label, operation(self.edits))
        self._notify()

    def set_visible(self, number: int, visible: bool) -> None:
        """Show or hide the object at place `number` of the list."""
        entry = self._object(number)
        operation = operations.show if visible else operations.hide
        self.change(f"{'show' if visible else 'hide'} {entry.name}", lambda edits: operation(edits, edits.mask(number)))

    def show_all(self) -> None:
        """Show everything that was removed or hidden."""
        self.change("show all", lambda edits: operations.show(edits, edits.hidden))

    def split_selection(self, name: str | None = None) -> None:
        """Make what is selected an object of its own; of an object of which it is a part it is taken away."""
        mask, segmentation = self.selection(), self.segmentation()
        if mask is None:
            raise UserError("split: nothing is selected. Select a part of an object first.")
        inside = [] if segmentation is None else [n for n, o in enumerate(self.objects) if bool(mask[o.rows].any())]
        whole = [n for n in inside if int(mask[self.objects[n].rows].sum()) == int(mask.sum()) < len(self.objects[n])]
        if not whole:
            self.change("new object", lambda e: operations.add_object(e, mask, name or f"object {len(e.objects)}"))
            return
        number = min(whole, key=lambda n: len(self.objects[n]))
        self.change(f"split {self.objects[number].name}", lambda e: operations.split(e, number, mask, name))

    def undo(self) -> str:
        """Take the latest step back; returns what it was.

        Raises:
            UserError: there is none.
        """
        return self._travel(History.undo, "nothing to undo")

    def redo(self) -> str:
        """Do again what was undone last; returns what it was.

        Raises:
            UserError: there is none.
        """
        return self._travel(History.redo, "nothing to redo")

    def go(self, position: int) -> None:
        """Undo or redo until `position` steps are done."""
        with self._lock:
            self._history.go(position)
        self._notify()

    # Beside training, and from session to session

    def refresh(self, origin: Tensor | None = None, before: int | None = None) -> None:
        """Follow the trained scene: call it after a step that may have changed the number of its Gaussians.

        Args:
            origin: [N'] int64, for each Gaussian there is now the one before that it came from. Without it edits and
                selection are dropped where the number has changed.
            before: number of Gaussians that there were; edits of another number, as of the seed points before a
                checkpoint was loaded, cannot be followed and are dropped.
        """
        with self._lock:
            base, edits = self._base(), self.edits
            if self._fits(base, edits):
                return
            if origin is not None and len(origin) == len(base) and before in (None, edits.trained):
                self._history = History(edits.resampled(origin))
                self._means = base.means
            else:
                self._sync()
        self._notify()

    def restore(self) -> str:
        """Load the session of the folder; returns what to tell people, empty if there is nothing to say."""
        from trase_ns.editing.session import open_session

        if self.folder is None:
            return ""
        with self._lock:
            self._sync()
            session, message = open_session(self.folder, self.edits)
            self._history, self.similarity, self.view = session.history, session.similarity, session.view
            self.message = message
        self._notify()
        return message

    def save(self) -> Path | None:
        """Save the session now; returns the file, None where there is no folder.

        Raises:
            UserError: it cannot be written.
        """
        from trase_ns.editing.session import Session

        if self.folder is None:
            return None
        with self._lock:
            history = History(self._history.edits)
            history.steps, history.position = list(self._history.steps), self._history.position
            session = Session(history, self.similarity, dict(self.view))
        return self.folder.save(session)

    def _travel(self, way: Callable[[History], str | None], nothing: str) -> str:
        with self._lock:
            label = way(self._history)
        if label is None:
            raise UserError(nothing)
        self.message = ""
        self._notify()
        return label

    def _edit(self, label: str, operation: Callable[[Edits, Tensor], Edits]) -> None:
        self._sync()
        mask = self.selection()
        if mask is None:
            raise UserError(f"{label}: nothing is selected. Click an object first.")
        self._do(label, operation(self.edits, mask))

    def _do(self, label: str, edits: Edits) -> None:
        self._history.do(label, edits)
        self.message = ""

    def _whole_objects(self, mask: Tensor) -> int:
        """How many objects lie in `mask` whole, or nearly so; parts of one that does are not counted."""
        found = self.segmentation()
        if found is None or not len(found):
            return 0
        whole = found.coverage(mask.float()) >= WHOLE * found.sizes.clamp_min(1)
        parents = found.parents
        return int((whole & ~((parents >= 0) & whole[parents])).sum())

    def _object(self, number: int) -> SceneObject:
        if not 0 <= number < len(self.objects):
            raise UserError(f"there is no object {number}: objects go from 0 to {len(self.objects) - 1}")
        return self.objects[number]

    def _fits(self, base: DynamicGaussians, edits: Edits) -> bool:
        """Whether the edits are of the Gaussians that `base` has now."""
        means = self._means
        return (
            means is not None
            and edits.trained == len(base)
            and means.shape == base.means.shape
            and means.data_ptr() == base.means.data_ptr()
        )

    def _sync(self) -> None:
        """Begin anew where the Gaussians are others than before; take objects that training found."""
        base, found = self._base(), self._trained_objects()
        if not self._fits(base, self.edits):
            if self._history.steps:
                self.message = "Training changed the Gaussians: selection and edits were dropped."
            self._history = History(Edits.none(len(base), device=base.device))
            self._means, self._adopted = base.means, None
        if found is not None and found is not self._adopted and found.gaussians == len(base):
            edits = replace(self.edits, objects=objects_of(found.to(base.device), self._names))
            if self._history.steps:
                self._history.do("objects found", edits)
            else:
                self._history = History(edits)
            self._adopted = found

    def _objects_or_features(self) -> Segmentation | None:
        from trase_ns.segmentation.filtering import has_features

        found = self._trained_objects()
        if found is not None and found.gaussians != self.edits.trained:
            raise UserError("the objects belong to an earlier state of the scene: they are found anew by training")
        segmentation = self.segmentation()
        if segmentation is None and not has_features(self._base().features):
            raise UserError("there are no objects yet: they are found at the end of training")
        return segmentation

    def _likeness(
        self, scene: DynamicGaussians, segmentation: Segmentation | None, mask: Tensor, objects: list[int]
    ) -> Tensor:
        """[M], for each selected Gaussian the cosine to the object that it was selected with; 1 where there is none."""
        from trase_ns.segmentation.filtering import cosine_to

        before = self.edits.likeness
        likeness = torch.where(before > UNSELECTED, before, 1.0)
        if segmentation is None or segmentation.centres is None:
            return likeness
        best = torch.full_like(likeness, UNSELECTED)
        for number in objects:
            members = segmentation.members(number) & mask
            cosine = cosine_to(scene.features[members], segmentation.centres[number])
            best[members] = torch.maximum(best[members], cosine)
        return torch.where(best > UNSELECTED, best, likeness)

    def _notify(self) -> None:
        for observer in tuple(self._observers):
            observer()


def _granularity(name: str) -> Any:
    if name not in GRANULARITIES:
        raise UserError(f"granularity {name!r}: use one of {', '.join(GRANULARITIES)}")
    return None if name == "auto" else name


def _same(objects: tuple[SceneObject, ...], segmentation: Segmentation) -> bool:
    """Whether the list holds the objects of the segmentation, whatever they are called."""
    return len(objects) == len(segmentation) and all(
        len(entry.rows) == size and entry.rows.data_ptr() == segmentation.indices[start:].data_ptr()
        for entry, size, start in zip(objects, segmentation.sizes.tolist(), segmentation.indptr.tolist())
    )


def _any(features: Tensor) -> bool:
    from trase_ns.segmentation.filtering import has_features

    return has_features(features)
