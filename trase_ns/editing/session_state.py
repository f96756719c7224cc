"""A history as plain JSON and tensors, and back, with everything checked that came from a file."""

from __future__ import annotations

import math
from dataclasses import asdict, replace
from typing import Any

import torch
from torch import Tensor

from trase_ns.editing.edits import COLUMNS, TABLES, UNSELECTED, Edits, Look, SceneObject
from trase_ns.editing.history import LIMIT, Change, Difference, History
from trase_ns.scene.clock import TimeMap
from trase_ns.scene.gaussians import DynamicGaussians
from trase_ns.scene.similarity import Similarity
from trase_ns.scene.spherical_harmonics import MAX_DEGREE

# The tables whose entries are kept in pools: a step that changed a table names the entries before and after.
POOLED = tuple(name for name in TABLES if name != "trained")
LONGEST_NAME = 100


class _Pool(list):
    """Entries of tables, each once; which one an entry is goes by identity."""

    def __init__(self) -> None:
        super().__init__()
        self._places: dict[int, int] = {}

    def place(self, entry: Any) -> int:
        """The number of an entry, which is added if it is new."""
        if id(entry) not in self._places:
            self._places[id(entry)] = len(self)
            self.append(entry)
        return self._places[id(entry)]


def to_state(history: History) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Return JSON values and tensors that say all of a history but the scenes that were brought in."""
    pools = {name: _Pool() for name in POOLED}
    tensors: dict[str, Tensor] = {}
    state: dict[str, Any] = {
        "position": history.position,
        "now": _tables(history.edits, pools),
        "steps": [],
    }
    untouched = Edits.none(len(history.edits))
    for name, column in history.edits.columns.items():
        column = column.cpu()
        rows = (column != getattr(untouched, name)).nonzero().flatten()
        if len(rows):
            tensors[f"now.{name}.rows"], tensors[f"now.{name}.values"] = rows, column[rows]
    state["rows"] = len(history.edits)
    for number, step in enumerate(history.steps):
        state["steps"].append(
            {
                "label": step.label,
                "length": list(step.length),
                "columns": sorted(step.columns),
                "tail": bool(step.tail),
                "tables": {
                    name: [_numbers(name, value, pools) for value in pair] for name, pair in step.tables.items()
                },
            }
        )
        for name, change in step.columns.items():
            tensors[f"step.{number}.{name}.rows"] = change.rows
            tensors[f"step.{number}.{name}.before"] = change.before
            tensors[f"step.{number}.{name}.after"] = change.after
        for name, values in step.tail.items():
            tensors[f"step.{number}.tail.{name}"] = values
    state["pools"] = {
        "placements": [
            {"rotation": p.rotation.tolist(), "translation": p.translation.tolist(), "scale": p.scale}
            for p in pools["placements"]
        ],
        "clocks": [[asdict(time_map) for time_map in clock] for clock in pools["clocks"]],
        "looks": [{"matrix": look.matrix.tolist(), "offset": look.offset.tolist()} for look in pools["looks"]],
        "objects": [{"name": o.name, "color": list(o.color), "support": o.support} for o in pools["objects"]],
        "styles": len(pools["styles"]),
        "sources": len(pools["sources"]),
    }
    tensors |= {f"object.{i}": entry.rows for i, entry in enumerate(pools["objects"])}
    tensors |= {f"style.{i}": block for i, block in enumerate(pools["styles"])}
    return state, tensors


def sources_of(history: History) -> list[DynamicGaussians]:
    """Return the scenes that the history brought in, in the order that `to_state` numbers them."""
    pools = {name: _Pool() for name in POOLED}
    _tables(history.edits, pools)
    for step in history.steps:
        for value in step.tables.get("sources", ()):
            _numbers("sources", value, pools)
    return pools["sources"]


def from_state(
    state: dict[str, Any], tensors: dict[str, Tensor], sources: tuple[DynamicGaussians, ...], gaussians: int
) -> History:
    """Make the history again; on the CPU.

    Args:
        state, tensors: what `to_state` returned.
        sources: what `sources_of` returned.
        gaussians: N, of the trained scene.

    Raises:
        ValueError, KeyError, TypeError: it is not such a state; the message says what is wrong.
    """
    pools = _pools(state["pools"], tensors, sources)
    rows = _whole(state["rows"], "rows", gaussians, 1 << 31)
    now = _tables_from(state["now"], pools)
    edits = replace(Edits.none(gaussians), **{name: now[name] for name in TABLES})
    columns = {}
    if rows > gaussians + sum(len(v) for v in tensors.values() if v.ndim == 1):
        raise ValueError("there are more rows than the file can speak of")
    untouched = Edits.none(rows)
    for name in COLUMNS:
        column = getattr(untouched, name).clone()
        if f"now.{name}.rows" in tensors:
            where = _rows(tensors[f"now.{name}.rows"], rows)
            column[where] = _values(tensors[f"now.{name}.values"], name, len(where))
        columns[name] = column
    edits = replace(edits, **columns)
    steps = state["steps"]
    if not isinstance(steps, list) or len(steps) > LIMIT:
        raise ValueError("steps make no sense")
    history = History(edits)
    history.steps = [_step(entry, number, tensors, pools) for number, entry in enumerate(steps)]
    history.position = _whole(state["position"], "position", 0, len(steps))
    _check(edits, gaussians)
    _check_steps(history, gaussians)
    return history


def moved(history: History, device: torch.device) -> History:
    """Return the history with its tensors on `device`."""
    if torch.device(device).type == "cpu":
        return history

    objects: dict[int, SceneObject] = {}

    def on(value: Tensor) -> Tensor:
        return value.to(device)

    def listed(entries: tuple[SceneObject, ...]) -> tuple[SceneObject, ...]:
        for entry in entries:
            objects.setdefault(id(entry), replace(entry, rows=on(entry.rows)))
        return tuple(objects[id(entry)] for entry in entries)

    before = history.edits
    columns = {name: on(column) for name, column in before.columns.items()}
    result = History(replace(before, **columns, objects=listed(before.objects)), history.limit)
    result.position = history.position
    for step in history.steps:
        columns = {n: Change(on(c.rows), on(c.before), on(c.after)) for n, c in step.columns.items()}
        tables = dict(step.tables)
        if "objects" in tables:
            tables["objects"] = listed(tables["objects"][0]), listed(tables["objects"][1])
        tail = {n: on(t) for n, t in step.tail.items()}
        result.steps.append(replace(step, columns=columns, tables=tables, tail=tail))
    return result


def _numbers(name: str, value: Any, pools: dict[str, _Pool]) -> Any:
    """The numbers of a table's entries in their pool, to which new ones are added; counts as they are."""
    if name not in POOLED:
        return value
    return [pools[name].place(entry) for entry in value]


def _tables(edits: Edits, pools: dict[str, _Pool]) -> dict[str, Any]:
    return {name: _numbers(name, getattr(edits, name), pools) for name in TABLES}


def _tables_from(numbers: dict[str, Any], pools: dict[str, list]) -> dict[str, Any]:
    tables: dict[str, Any] = {}
    for name, value in numbers.items():
        if name not in TABLES:
            raise ValueError(f"unknown table {name[:40]!r}")
        if name in POOLED:
            tables[name] = tuple(pools[name][_whole(i, name, 0, len(pools[name]) - 1)] for i in value)
        else:
            tables[name] = _whole(value, name, 0, 1 << 31)
    return tables


def _pools(described: dict[str, Any], tensors: dict[str, Tensor], sources: tuple) -> dict[str, list]:
    """The entries of all tables."""
    objects = []
    for number, entry in enumerate(described["objects"]):
        name, color = entry["name"], tuple(_finite(entry["color"], (3,)).clamp(0, 1).tolist())
        if not isinstance(name, str) or len(name) > LONGEST_NAME or not name.isprintable():
            raise ValueError(f"object {number} has no proper name")
        rows = tensors[f"object.{number}"]
        if rows.dtype != torch.int64 or rows.ndim != 1 or not bool((rows.diff() > 0).all()):
            raise ValueError(f"Gaussians of object {number} make no sense")
        objects.append(SceneObject(name, rows, color, float(_finite(entry["support"], ()))))  # type: ignore[arg-type]
    styles = [tensors[f"style.{number}"] for number in range(_whole(described["styles"], "styles", 0, 10_000))]
    for block in styles:
        bands = [(degree + 1) ** 2 for degree in range(MAX_DEGREE + 1)]
        if block.ndim != 3 or block.shape[1] not in bands or block.shape[2] != 3 or not block.isfinite().all():
            raise ValueError("a style makes no sense")
    if _whole(described["sources"], "sources", 0, 10_000) != len(sources):
        raise ValueError("scenes that were brought in are missing")
    return {
        "placements": [_placement(entry) for entry in described["placements"]],
        "clocks": [tuple(TimeMap(**_time_map(m)) for m in clock) for clock in described["clocks"]],
        "looks": [
            Look(_finite(e["matrix"], (3, 3)).float(), _finite(e["offset"], (3,)).float()) for e in described["looks"]
        ],
        "objects": objects,
        "styles": styles,
        "sources": list(sources),
    }


def _placement(entry: dict[str, Any]) -> Similarity:
    rotation, translation = _finite(entry["rotation"], (3, 3)), _finite(entry["translation"], (3,))
    scale = float(_finite(entry["scale"], ()))
    if scale <= 0 or not torch.allclose(rotation @ rotation.T, torch.eye(3, dtype=torch.float64), atol=1e-4):
        raise ValueError("a placement is no turn or has no size")
    return Similarity(rotation, translation, scale)


def _time_map(entry: dict[str, Any]) -> dict[str, Any]:
    if entry.keys() != {"speed", "offset", "wrap"} or isinstance(entry["speed"], (str, bool)):
        raise ValueError("a course of time makes no sense")
    return {"speed": float(entry["speed"]), "offset": float(entry["offset"]), "wrap": entry["wrap"]}


def _step(entry: dict[str, Any], number: int, tensors: dict[str, Tensor], pools: dict[str, list]) -> Difference:
    before, after = (_whole(value, "length", 1, 1 << 31) for value in entry["length"])
    label = entry["label"]
    if not isinstance(label, str) or len(label) > 2 * LONGEST_NAME:
        raise ValueError(f"step {number} has no proper label")
    columns = {}
    for name in entry["columns"]:
        if name not in COLUMNS:
            raise ValueError(f"unknown column {str(name)[:40]!r}")
        rows = _rows(tensors[f"step.{number}.{name}.rows"], min(before, after))
        old, new = (_values(tensors[f"step.{number}.{name}.{w}"], name, len(rows)) for w in ("before", "after"))
        columns[name] = Change(rows, old, new)
    tail = {}
    if (before != after) != bool(entry["tail"]):
        raise ValueError(f"step {number} changes the number of rows without saying how")
    if before != after:
        tail = {name: _values(tensors[f"step.{number}.tail.{name}"], name, abs(after - before)) for name in COLUMNS}
    pairs = {
        name: [_tables_from({name: value}, pools)[name] for value in pair] for name, pair in entry["tables"].items()
    }
    return Difference(label, columns, {name: (pair[0], pair[1]) for name, pair in pairs.items()}, (before, after), tail)


def _check_steps(history: History, gaussians: int) -> None:
    """Go through all steps once, both ways: what cannot be undone or redone is refused now."""
    walker = History(history.edits)
    walker.steps, walker.position = history.steps, history.position
    for target in (0, len(history.steps)):
        while walker.position != target:
            step = walker.steps[walker.position - 1 if target == 0 else walker.position]
            if len(walker.edits) != step.length[1 if target == 0 else 0]:
                raise ValueError("the steps do not follow on each other")
            walker.go(walker.position + (-1 if target == 0 else 1))
            _check(walker.edits, gaussians)


def _check(edits: Edits, gaussians: int) -> None:
    """Raise a ValueError where a column points to something that is not there."""
    if edits.trained != gaussians or len(edits) < gaussians:
        raise ValueError("the trained Gaussians are not all there")
    own = torch.arange(gaussians)
    if not torch.equal(edits.index[:gaussians], own) or bool((edits.source[:gaussians] != 0).any()):
        raise ValueError("the trained Gaussians are not in their order")
    sizes = torch.tensor([gaussians, *(len(source) for source in edits.sources)])
    bounds = {
        "source": len(sizes),
        "placement": len(edits.placements),
        "clock": len(edits.clocks),
        "look": len(edits.looks),
        "style": sum(len(block) for block in edits.styles),
    }
    for name, bound in bounds.items():
        column = getattr(edits, name)
        if int(column.min()) < (-1 if name == "style" else 0) or int(column.max()) >= bound:
            raise ValueError(f"{name} points outside of its table")
    if bool((edits.index < 0).any()) or bool((edits.index >= sizes[edits.source]).any()):
        raise ValueError("a copy is of a Gaussian that is not there")
    if not bool(((edits.opacity >= 0) & (edits.opacity <= 1)).all()):
        raise ValueError("an opacity is not from 0 to 1")
    if not bool(((edits.likeness == UNSELECTED) | ((edits.likeness >= -1) & (edits.likeness <= 2))).all()):
        raise ValueError("the selection makes no sense")
    for entry in edits.objects:
        if len(entry.rows) and not (int(entry.rows[0]) >= 0 and int(entry.rows[-1]) < len(edits)):
            raise ValueError(f"{entry.name} has Gaussians that are not there")


def _rows(rows: Tensor, count: int) -> Tensor:
    if (
        rows.dtype != torch.int64
        or rows.ndim != 1
        or (len(rows) and not 0 <= int(rows.min()) <= int(rows.max()) < count)
    ):
        raise ValueError("numbers of Gaussians make no sense")
    return rows


def _values(values: Tensor, name: str, count: int) -> Tensor:
    wanted = getattr(Edits.none(1), name).dtype
    if values.dtype != wanted or values.shape != (count,):
        raise ValueError(f"values of {name} must be {str(wanted).removeprefix('torch.')} {[count]}")
    return values


def _whole(value: Any, what: str, low: int, high: int) -> int:
    if type(value) is not int or not low <= value <= high:
        raise ValueError(f"{what} {str(value)[:20]} makes no sense")
    return value


def _finite(value: Any, shape: tuple[int, ...]) -> Tensor:
    """`value`, nested lists of numbers, as float64 of `shape`."""
    result = torch.tensor(value, dtype=torch.float64)
    if result.shape != shape or not math.isfinite(float(result.abs().sum())):
        raise ValueError(f"{str(value)[:60]} is not {list(shape)} finite numbers")
    return result
