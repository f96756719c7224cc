"""A benchmark on disk: objects, the clicks that ask for them, and their ground-truth masks.

    benchmark.json      {"version": 1, "objects": [{"name": "hand", "masks": "hand",
                         "prompts": [{"frame": "image000009.png", "x": 0.41, "y": 0.22, "positive": true}]}]}
    hand/<frame>.png    one mask for each frame to score

`x` and `y` are fractions of the width (to the right) and of the height (down). `frame` names a frame of the data set,
whose camera and time are meant. A mask is named after its frame: "image000009.png", or "cam00/0001.png" where a data
set has folders. Prompts may carry "granularity" ("coarse" or "fine"); keys that are not known here are left alone.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NoReturn

import numpy as np

from trase_ns.errors import UserError

VERSION = 1
FILE_NAME = "benchmark.json"
GRANULARITIES = ("coarse", "fine")


@dataclass(frozen=True)
class Click:
    """A click in a frame.

    Attributes:
        frame: name of a frame of the data set, as the benchmark writes it.
        x: fraction of the width from the left, in [0, 1].
        y: fraction of the height from the top, in [0, 1].
        positive: whether the click asks for the object or excludes it.
        granularity: "coarse", "fine", or None for the method's own choice.
    """

    frame: str
    x: float
    y: float
    positive: bool = True
    granularity: Literal["coarse", "fine"] | None = None


@dataclass(frozen=True)
class BenchmarkObject:
    """An object: its name, the clicks that ask for it, and its mask file for each frame name to score."""

    name: str
    clicks: tuple[Click, ...]
    masks: dict[str, Path]


@dataclass(frozen=True)
class Benchmark:
    """The objects of `directory`/benchmark.json, in its order."""

    directory: Path
    objects: tuple[BenchmarkObject, ...]


def load_benchmark(directory: Path) -> Benchmark:
    """Read and check the benchmark in `directory`; the masks themselves are read later, one by one.

    Raises:
        UserError: a file is missing or unreadable, or a value is not what the format says.
    """
    directory = Path(directory)
    file = directory / FILE_NAME
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"cannot read {file}: {error.strerror}. Give a folder with a {FILE_NAME}.") from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"{file} is not JSON: {error}. Mend or rewrite it.") from error
    root = _Entry(file, "the document", document)
    if root.get("version") != VERSION:
        raise UserError(f"{file}: version is {root.get('version')!r}; only version {VERSION} can be read.")
    objects = tuple(_object(directory, entry) for entry in root.entries("objects", "object"))
    names = [entry.name for entry in objects]
    for name in names:
        if names.count(name) > 1:
            raise UserError(f"{file}: {names.count(name)} objects are named {name!r}. Give each its own name.")
    return Benchmark(directory, objects)


def read_mask(path: Path) -> np.ndarray:
    """Read a mask picture as bool [H, W]: a pixel is inside if it is above half of the brightest one.

    So files of 0 and 1, of 0 and 255, and such with smoothed borders read alike. Of a palette picture every index
    above 0 is inside.

    Raises:
        UserError: the file is missing, truncated or not a picture.
    """
    from PIL import Image

    try:
        with Image.open(path) as picture:
            if picture.mode not in ("1", "L", "P", "I", "I;16", "F"):
                picture = picture.convert("L")
            palette = picture.mode == "P"
            values = np.asarray(picture)
    except (OSError, SyntaxError, ValueError) as error:
        raise UserError(f"mask {path} cannot be read: {error}. Write it again as a PNG.") from error
    if palette or values.dtype == bool:
        return values > 0
    return values.astype(np.float64) * 2 > max(float(values.max()), np.finfo(np.float64).tiny)


class _Entry:
    """A JSON object of the benchmark that knows where it stands, for messages."""

    def __init__(self, file: Path, where: str, value: Any) -> None:
        self.file, self.where = file, where
        if not isinstance(value, dict):
            self.fail(f"must be a JSON object, not {json.dumps(value)[:60]}")
        self.value: dict[str, Any] = value

    def fail(self, problem: str) -> NoReturn:
        raise UserError(f"{self.file}: {self.where} {problem}.")

    def get(self, key: str, default: Any = None) -> Any:
        return self.value.get(key, default)

    def check(self, key: str, valid: Callable[[Any], bool], what: str, default: Any = None) -> Any:
        value = self.value.get(key, default)
        if not valid(value):
            self.fail(f'needs "{key}": {what}, not {json.dumps(value)[:60]}')
        return value

    def entries(self, key: str, singular: str) -> list[_Entry]:
        values = self.check(key, lambda v: isinstance(v, list) and len(v) > 0, "a list with at least one entry")
        prefix = "" if self.where == "the document" else f"{self.where}, "
        return [_Entry(self.file, f"{prefix}{singular} {i}", value) for i, value in enumerate(values)]


def _object(directory: Path, entry: _Entry) -> BenchmarkObject:
    name = entry.check("name", _is_file_name, "a name that can be a folder's, without / and not starting with a dot")
    entry.where = f"object {name!r}"
    clicks = tuple(_click(prompt) for prompt in entry.entries("prompts", "prompt"))
    if not any(click.positive for click in clicks):
        entry.fail("has no positive prompt. Add a click on the object")
    folder = entry.check("masks", _is_text, "the name of a folder beside benchmark.json")
    return BenchmarkObject(name, clicks, _mask_files(directory, folder, entry))


def _click(entry: _Entry) -> Click:
    frame = entry.check("frame", _is_text, "the name of a frame")
    x = entry.check("x", _is_fraction, "a fraction of the width in [0, 1]")
    y = entry.check("y", _is_fraction, "a fraction of the height in [0, 1]")
    positive = entry.check("positive", lambda v: isinstance(v, bool), "true or false", default=True)
    granularity = entry.check("granularity", lambda v: v is None or v in GRANULARITIES, '"coarse" or "fine"')
    return Click(frame, float(x), float(y), positive, granularity)


def _mask_files(directory: Path, name: str, entry: _Entry) -> dict[str, Path]:
    folder = directory / name
    if not folder.resolve().is_relative_to(directory.resolve()):
        entry.fail(f"has its masks in {name!r}, outside the benchmark's folder. Move them into it")
    files = sorted(folder.rglob("*.png"))
    if not files:
        entry.fail(f"has no masks: there is no PNG in {folder}. Add one for each frame to score")
    return {file.relative_to(folder).with_suffix("").as_posix(): file for file in files}


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and value != ""


def _is_fraction(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value) and 0 <= value <= 1


def _is_file_name(value: Any) -> bool:
    if not isinstance(value, str) or not value or value.startswith(".") or len(value) > 100:
        return False
    return value.isprintable() and not set(value) & set('/\\:*?"<>|')
