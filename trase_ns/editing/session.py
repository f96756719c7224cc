"""The session on disk: selection, objects, edits with their history, and the view, beside the run."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from trase_ns.console import warn
from trase_ns.editing import session_state
from trase_ns.editing.edits import Edits
from trase_ns.editing.history import History
from trase_ns.errors import UserError
from trase_ns.files import atomic_write, sha256
from trase_ns.scene.gaussians import DynamicGaussians

FORMAT = "trase-session"
VERSION = 1
SESSION = "session"  # the folder, in that of a run
FILE_NAME = "session.json"
MOST_BYTES = 1 << 26  # of session.json


@dataclass(frozen=True, eq=False)
class Session:
    """What a person leaves and finds again.

    Attributes:
        history: the edited scene and the steps that led there.
        similarity: threshold of the paper's filter, in [0, 1].
        view: how the scene was looked at, plain JSON values that only the viewer reads.
    """

    history: History
    similarity: float = 0.0
    view: dict[str, Any] = field(default_factory=dict)


class SessionFolder:
    """Where the session of a scene is kept: session.json, and the tensors that it names.

    A session is replaced whole or not at all: tensors are written under names made of their content, then session.json
    under its own, then what it no longer names is deleted.

    Args:
        directory: the folder; it is made when something is saved.
        base: returns the trained scene as it is now; a session of another one is refused.
    """

    def __init__(self, directory: Path, base: Callable[[], DynamicGaussians]):
        self.directory = Path(directory)
        self._base = base
        self._names: dict[int, tuple[DynamicGaussians, str]] = {}  # files of scenes that were brought in

    @property
    def path(self) -> Path:
        """The file session.json."""
        return self.directory / FILE_NAME

    def save(self, session: Session) -> Path:
        """Write the session; returns the file session.json.

        Raises:
            UserError: the folder cannot be written.
        """
        from safetensors.torch import save_file

        state, tensors = session_state.to_state(session.history)
        sources = [self._source_file(scene) for scene in session_state.sources_of(session.history)]
        name = _write_named(
            self.directory,
            "tensors",
            lambda path: save_file({k: v.detach().cpu().clone().contiguous() for k, v in tensors.items()}, path),
        )
        document = {
            "format": FORMAT,
            "version": VERSION,
            "run": _known_by(self._base()),
            "tensors": name,
            "sources": sources,
            "similarity": session.similarity,
            "view": session.view,
            "state": state,
        }
        with atomic_write(self.path) as temporary:
            temporary.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
        for old in [*self.directory.glob("tensors-*.safetensors"), *self.directory.glob("source-*.safetensors")]:
            if old.name not in {name, *sources}:
                old.unlink(missing_ok=True)
        return self.path

    def load(self) -> Session | None:
        """Read the session; None where there is none.

        Raises:
            UserError: it is damaged, of a newer program, or of another scene. The message says which; nothing is
                changed on disk.
        """
        try:
            if not self.path.is_file():
                return None
            if self.path.stat().st_size > MOST_BYTES:
                raise ValueError("session.json is far too long")
            document = json.loads(self.path.read_text(encoding="utf-8"))
            if not isinstance(document, dict) or document.get("format") != FORMAT:
                raise ValueError("session.json is not a session")
            version = document.get("version")
            if type(version) is not int or not 1 <= version <= VERSION:
                raise UserError(
                    f"session {self.path} is of version {str(version)[:20]}, this program reads {VERSION}: "
                    "update trase_ns, or move the folder away to start anew."
                )
            base, run = self._base(), document["run"]
            if run != _known_by(base):
                raise UserError(
                    f"session {self.path} belongs to another state of the scene, of {str(run['gaussians'])[:20]} "
                    f"Gaussians: this one has {len(base)}, or was trained further. Move the folder away to "
                    "start anew."
                )
            tensors = self._tensors(document["tensors"])
            sources = tuple(self._source(name) for name in document["sources"])
            history = session_state.from_state(document["state"], tensors, sources, len(base))
            similarity, view = document["similarity"], document["view"]
            if type(similarity) not in (int, float) or not 0 <= similarity <= 1 or not isinstance(view, dict):
                raise ValueError("similarity or view make no sense")
            _check_finite(view)
        except (OSError, ValueError, KeyError, TypeError, IndexError, RecursionError, AttributeError) as error:
            reason = f"{type(error).__name__} {error}" if isinstance(error, KeyError) else str(error)
            raise UserError(
                f"session {self.path} is damaged ({reason[:200]}). Move the folder {self.directory} away to start anew."
            ) from error
        history = session_state.moved(history, base.device)
        return Session(history, float(similarity), view)

    def set_aside(self) -> Path | None:
        """Rename the folder of a session that was refused, so that a new one can be saved; returns its new name."""
        if not self.directory.exists():
            return None
        for number in range(1, 1000):
            target = self.directory.with_name(f"{self.directory.name}-refused-{number}")
            if not target.exists():
                self.directory.rename(target)
                return target
        raise UserError(f"there are too many refused sessions beside {self.directory}: delete some")

    def _source_file(self, scene: DynamicGaussians) -> str:
        """Write a scene that was brought in, once; returns the file's name."""
        from trase_ns.scene.portable import Portable, write_portable

        known = self._names.get(id(scene))
        if known is None or not (self.directory / known[1]).is_file():
            name = _write_named(self.directory, "source", lambda path: write_portable(path, Portable(scene)))
            self._names[id(scene)] = known = (scene, name)
        return known[1]

    def _source(self, name: Any) -> DynamicGaussians:
        from trase_ns.scene.portable import read_portable

        path = self._named(name, "source")
        scene = read_portable(path).scene
        self._names[id(scene)] = (scene, path.name)
        return scene

    def _tensors(self, name: Any) -> dict[str, Tensor]:
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        path = self._named(name, "tensors")
        try:
            return load_file(path)
        except SafetensorError as error:
            raise ValueError(f"{path.name}: {error}") from error

    def _named(self, name: Any, kind: str) -> Path:
        """The file that session.json names; its content must be what the name says."""
        if not isinstance(name, str) or not name.startswith(f"{kind}-") or Path(name).name != name or "\\" in name:
            raise ValueError(f"{str(name)[:60]!r} is no name of a file of {kind}")
        path = self.directory / name
        if not path.is_file():
            raise ValueError(f"{name} is missing")
        if sha256(path)[:16] != path.stem.removeprefix(f"{kind}-"):
            raise ValueError(f"{name} was changed or is cut short")
        return path


def _known_by(scene: DynamicGaussians) -> dict[str, Any]:
    """What a session knows its scene by: the number of Gaussians and a hash of the trained positions."""
    means = scene.means.detach().cpu().contiguous().numpy()
    return {"gaussians": len(scene), "fingerprint": hashlib.sha256(means.tobytes()).hexdigest()[:16]}


def open_session(folder: SessionFolder, untouched: Edits) -> tuple[Session, str]:
    """Load the session of a folder, or begin one; a session that is refused is set aside, not overwritten.

    Returns:
        The session, and what to tell people, empty if there is nothing to say.
    """
    try:
        session = folder.load()
    except UserError as error:
        aside = folder.set_aside()
        message = f"{error} It was kept as {aside}."
        warn(message)
        return Session(History(untouched)), message
    return session or Session(History(untouched)), ""


def _write_named(directory: Path, kind: str, write) -> str:
    """Write a file under a name made of its content; returns the name."""
    with atomic_write(directory / f"{kind}-new.safetensors") as temporary:
        write(temporary)
    written = directory / f"{kind}-new.safetensors"
    name = f"{kind}-{sha256(written)[:16]}.safetensors"
    written.replace(directory / name)
    return name


def _check_finite(value: Any) -> None:
    """Raise a ValueError where plain JSON values hold a number that is not finite."""
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("the view has a number that is not finite")
    for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        _check_finite(part)
