"""Tables of a benchmark's results in Markdown, LaTeX and CSV: pure functions of what results.json holds."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

MISSING = "–"


@dataclass(frozen=True)
class Column:
    """A column of numbers.

    Attributes:
        head: its name, with the unit.
        digits: after the point.
        best: which value is best: 1 the largest, -1 the smallest, 0 none.
    """

    head: str
    digits: int = 3
    best: int = 0


@dataclass(frozen=True)
class Row:
    """A row.

    Attributes:
        name: what it is about.
        values: its numbers, None where there is none.
        note: what there is to say below the table.
        ranked: whether it may have the best value: a mean over fewer scenes than the others' may not.
    """

    name: str
    values: tuple[float | None, ...]
    note: str = ""
    ranked: bool = True


@dataclass(frozen=True)
class Table:
    """A table with a caption; the best value of each column is set in bold."""

    caption: str
    first: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]

    def cells(self) -> list[list[tuple[str, bool]]]:
        """Return for each row the text of each value and whether it is the best of its column, as it is printed."""
        texts = [
            [MISSING if value is None else f"{value:,.{c.digits}f}" for value, c in zip(row.values, self.columns)]
            for row in self.rows
        ]
        best = []
        for i, column in enumerate(self.columns):
            shown = [text[i] for text, row in zip(texts, self.rows) if row.ranked and text[i] != MISSING]
            # Of values that are all the same none is best.
            ranked = column.best and len(set(shown)) > 1
            best.append(max(shown, key=lambda text: column.best * float(text.replace(",", ""))) if ranked else None)
        return [[(t, row.ranked and t == b) for t, b in zip(text, best)] for text, row in zip(texts, self.rows)]


SCORES = (
    ("miou", Column("mIoU", best=1)),
    ("macc", Column("mAcc", best=1)),
    ("mbiou", Column("mBIoU", best=1)),
    ("flicker", Column("flicker", best=-1)),
    ("floaters", Column("floaters", best=-1)),
)
COSTS = (
    ("features_seconds", Column("features (s)", 1, -1), 1.0),
    ("objects_seconds", Column("objects (s)", 1, -1), 1.0),
    ("evaluation_seconds", Column("evaluation (s)", 1), 1.0),
    ("memory_mb", Column("peak memory (MB)", 0, -1), 1.0),
    ("features_bytes", Column("features (MB)", 2, -1), 1e-6),
    ("click_ms", Column("click (ms)", 1, -1), 1.0),
)


def tables(results: Mapping[str, Any]) -> list[Table]:
    """Return all tables: scores of the methods, mIoU by scene, scores by scene, pictures and costs."""
    return [
        score_table(results),
        scene_table(results),
        *object_tables(results),
        picture_table(results),
        cost_table(results),
    ]


def score_table(results: Mapping[str, Any]) -> Table:
    """Return the scores of each method, means over the scenes."""
    scenes = results["scenes"]
    rows = []
    for name in results["methods"]:
        means = results["means"][name]
        rows.append(_means_row(results, name, tuple(means[key] for key, _ in SCORES)))
    what = "the scene" if len(scenes) == 1 else f"{len(scenes)} scenes"
    return Table(f"Methods, means over {what}", "method", tuple(column for _, column in SCORES), tuple(rows))


def scene_table(results: Mapping[str, Any]) -> Table:
    """Return the mIoU of each method on each scene, a column for each scene."""
    scenes = results["scenes"]
    rows = []
    for name in results["methods"]:
        values = tuple(scene["methods"][name].get("miou") for scene in scenes)
        rows.append(_means_row(results, name, (*values, results["means"][name]["miou"])))
    columns = (*(Column(scene["name"], best=1) for scene in scenes), Column("mean", best=1))
    return Table("mIoU by scene", "method", columns, tuple(rows))


def object_tables(results: Mapping[str, Any]) -> list[Table]:
    """Return for each scene the IoU of each object by each method, a column for each object."""
    found = []
    for scene in results["scenes"]:
        scored = {name: entry for name, entry in scene["methods"].items() if not entry["error"]}
        if not scored:
            continue
        names = [entry["name"] for entry in next(iter(scored.values()))["objects"]]
        rows = tuple(Row(name, tuple(o["iou"] for o in entry["objects"])) for name, entry in scored.items())
        about = f" ({scene['about']})" if scene["about"] else ""
        columns = tuple(Column(name, best=1) for name in names)
        found.append(Table(f"IoU by object: {scene['name']}{about}", "method", columns, rows))
    return found


def picture_table(results: Mapping[str, Any]) -> Table:
    """Return what the geometry of each scene is worth and costs; it is the same for all methods."""
    columns = (
        Column("PSNR (dB)", 2),
        Column("SSIM", 4),
        Column("LPIPS", 4),
        Column("Gaussians", 0),
        Column("storage (MB)", 2),
        Column("training (s)", 0),
        Column("peak memory (MB)", 0),
        Column("pictures/s, camera moves", 1),
        Column("pictures/s, time goes on", 1),
    )
    rows = []
    for scene in results["scenes"]:
        p, g = scene["pictures"], scene["geometry"]
        size = p.get("geometry_bytes")
        values = (p.get("psnr"), p.get("ssim"), p.get("lpips"), p.get("gaussians"), size and size / 1e6)
        values += (p.get("steps_seconds"), g.get("memory_mb"), p.get("fps_camera"), p.get("fps_time"))
        rows.append(Row(scene["name"], values, (g["error"] or p["error"]) or ""))
    return Table("Geometry: pictures of held-out frames, and costs", "scene", columns, tuple(rows))


def cost_table(results: Mapping[str, Any]) -> Table:
    """Return what each method costs beside the geometry, means over the scenes."""
    rows = []
    for name in results["methods"]:
        costs = results["means"][name]["costs"]
        values = tuple(costs[key] * unit if costs.get(key) is not None else None for key, _, unit in COSTS)
        rows.append(_means_row(results, name, values))
    return Table("Costs of the methods, means over the scenes", "method", tuple(c for _, c, _ in COSTS), tuple(rows))


def markdown(all_tables: Sequence[Table], level: int = 2) -> str:
    """Return tables as Markdown, each below a heading of this level."""
    parts = []
    for table in all_tables:
        lines = [f"{'#' * level} {_md(table.caption)}", ""]
        lines.append(_md_row([table.first, *(column.head for column in table.columns)]))
        lines.append("|---|" + "---:|" * len(table.columns))
        for row, cells in zip(table.rows, table.cells()):
            lines.append(_md_row([row.name, *(f"**{text}**" if best else text for text, best in cells)]))
        notes = _notes(table)
        lines += ["", *(f"- {_md(note)}" for note in notes)] if notes else []
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def latex(all_tables: Sequence[Table]) -> str:
    """Return tables as LaTeX: plain tabulars in table floats, which need no package."""
    parts = []
    for table in all_tables:
        lines = [r"\begin{table}", r"\centering", rf"\caption{{{_tex(table.caption)}}}"]
        lines += [rf"\begin{{tabular}}{{l{'r' * len(table.columns)}}}", r"\hline"]
        lines.append(_tex_row([_tex(table.first), *(_tex(column.head) for column in table.columns)]) + r" \hline")
        for row, cells in zip(table.rows, table.cells()):
            texts = [rf"\textbf{{{_tex(text)}}}" if best else _tex(text) for text, best in cells]
            lines.append(_tex_row([_tex(row.name), *texts]))
        lines += [r"\hline", r"\end{tabular}"]
        lines += [rf"\par {_tex(note)}" for note in _notes(table)]
        lines.append(r"\end{table}")
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def csv_text(results: Mapping[str, Any]) -> str:
    """Return a line for each object of each scene by each method, then lines of means: object or scene "mean"."""
    heads = ["scene", "method", "object", "iou", "accuracy", "boundary_iou", "flicker", "floaters", "gaussians"]
    costs = [key for key, _, _ in COSTS]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*heads, *costs, "error"])
    for scene in results["scenes"]:
        for name, entry in scene["methods"].items():
            if entry["error"]:
                writer.writerow([scene["name"], name, "mean", *[""] * (len(heads) - 3 + len(costs)), entry["error"]])
                continue
            for o in entry["objects"]:
                writer.writerow([scene["name"], name, *(_plain(o[key]) for key in ("name", *heads[3:]))] + [""] * 7)
            values = [entry[key] for key, _ in SCORES]
            spent = {**entry["costs"], "memory_mb": entry["memory_mb"]}
            row = [scene["name"], name, "mean", *values, None, *(spent[key] for key in costs), None]
            writer.writerow([_plain(value) for value in row])
    for name, means in results["means"].items():
        row = ["mean", name, "mean", *(means[key] for key, _ in SCORES), None]
        row += [means["costs"].get(key) for key in costs]
        writer.writerow([_plain(value) for value in [*row, None]])
    return out.getvalue()


def _means_row(results: Mapping[str, Any], name: str, values: tuple[float | None, ...]) -> Row:
    """Return a row of a method whose values are means over the scenes on which it has a score."""
    known, scenes = results["means"][name]["scenes"], results["scenes"]
    whole = known == len(scenes)
    return Row(name if whole else f"{name} ({known} of {len(scenes)})", values, _why(scenes, name), ranked=whole)


def _why(scenes: Sequence[Mapping[str, Any]], name: str) -> str:
    """Return the messages of a method that failed, each once."""
    messages = [scene["methods"][name]["error"] for scene in scenes if scene["methods"][name]["error"]]
    return " ".join(dict.fromkeys(messages))


def _notes(table: Table) -> list[str]:
    return [f"{row.name}: {row.note}" for row in table.rows if row.note]


def _plain(value: Any) -> Any:
    if value is None:
        return ""
    return f"{value:.6g}" if isinstance(value, float) else value


def _md(text: str) -> str:
    return text.replace("\n", " ").replace("|", "\\|")


def _md_row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(_md(cell) for cell in cells) + " |"


_TEX = {
    "\\": r"\textbackslash{}",
    **{character: f"\\{character}" for character in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    MISSING: "--",
    "\n": " ",
}


def _tex(text: str) -> str:
    return "".join(_TEX.get(character, character) for character in text)


def _tex_row(cells: Sequence[str]) -> str:
    return " & ".join(cells) + r" \\"
