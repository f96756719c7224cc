"""Writes the page of the results."""

from __future__ import annotations

from typing import Any


def page(found: dict[str, Any], memory: dict[str, Any] | None) -> str:
    """Return the text of docs/performance.md.

    Args:
        found: the results of this run.
        memory: what `benchmarks.memory` wrote, or None.
    """
    quick = "\nThis was a quick run: its figures mean nothing.\n" if found["quick"] else ""
    return f"""# Performance

This page is written by `make bench` (`python -m benchmarks.performance`); do not edit it by hand.
{quick}
Machine: {found["machine"]}; {threads(found["threads"])}; load {found["load_before"]:.1f} before and
{found["load_after"]:.1f} after. A load beyond 1 before the start means that other programs ran beside this one.

Each time is that of the fastest of several calls. What stands in one row was measured by turns, so that the ratios hold
even where the times do not. The scenes are random, with a fixed seed: the more Gaussians, the smaller they are.

## Rasterizer

{rasterizer_table(found)}

{rasterizer_notes(found)}

![Cost against size](pictures/performance.svg)

## Feature stage

A step of the feature stage with 5,000 pixels of a frame of 384 x 288, 20,000 Gaussians, the geometry frozen: with what
the view needs kept from step to step (the default), or nothing; and the same loss by rendering all 32 channels of the
frame, with gradients through the rasterizer and the deformation field.

{feature_table(found["feature_step"])}

## Uplifting

Feature maps lifted onto the Gaussians, and features of as many channels rendered, milliseconds for each view:

{uplifting_table(found["uplifting"])}

## Parts

{table(["part", "ms"], [[name, f"{value:.1f}"] for name, value in found["parts"].items()])}

## Studio

What a person at the panel waits for, in pictures of 512 x 384 with all outputs; scenes of random Gaussians in some 270
objects:

{table(["wait", "ms"], [[name, f"{value:.1f}"] for name, value in found["studio"].items()])}

## Objects and clusters

Clusters of {found["clusters"]["features"]:,} features of 32 numbers in {found["clusters"]["groups"]} groups:
{found["clusters"]["seconds"]:.1f} s, adjusted Rand index {found["clusters"]["adjusted_rand_index"]:.3f}.

Objects of a video of 5,000 Gaussians, 160 x 120 pixels and 28 masks a frame, in seconds:

{objects_table(found["objects"])}
{memory_section(memory) if memory else ""}"""


def objects_table(objects: list[dict[str, float]]) -> str:
    """Return the table of finding objects."""
    return table(
        ["frames", "lifting", "grouping"],
        [[str(o["frames"]), f"{o['lifting']:.2f}", f"{o['grouping']:.2f}"] for o in objects],
    )


def uplifting_table(cases: list[dict[str, float]]) -> str:
    """Return the table of uplifting against rendering."""
    rows = []
    for case in cases:
        row = [f"{case['gaussians']:,}", f"{case['width']} x {case['height']}", str(case["channels"])]
        row += [f"{case['render']:.1f}", f"{case['uplift']:.1f}", f"{case['uplift'] / case['render']:.2f}"]
        rows.append(row)
    return table(["Gaussians", "pixels", "channels", "rendering", "uplifting", "ratio"], rows)


def memory_section(memory: dict[str, Any]) -> str:
    """Return what is said of the memory of a training."""
    rows = [[str(run["frames"]), str(run["peak_mb"]), f"{run['minutes']:.1f}"] for run in memory["runs"]]
    return f"""
## Memory

The most memory that a training on frames of 960 x 540 pixels with {memory["masks"]} masks each ever held, with the
defaults and the same number of steps; measured by `make bench-memory` on {memory["machine"]}:

{table(["frames", "MB", "minutes"], rows)}
"""


def rasterizer_table(found: dict[str, Any]) -> str:
    """Return the table of the rasterizer's times in milliseconds."""
    if "gsplat_both" in found["rasterizer"][0]:
        columns = {"forward": "forward", "both": "and backward"}
        others = {"gsplat": "gsplat"}
    else:
        count = threads(found["threads"])
        columns = {"forward_one_thread": "forward, 1 thread", "forward": f"forward, {count}"}
        columns |= {"both_one_thread": "and backward, 1 thread", "both": f"and backward, {count}"}
        others = {"tiles": "fast torch", "reference": "plain torch"}
    rows = []
    for case in found["rasterizer"]:
        row = [f"{case['gaussians']:,}", f"{case['width']} x {case['height']}", str(case["channels"])]
        row += [f"{case[name]:.1f}" for name in columns]
        for other in others:
            value = case.get(f"{other}_both")
            row += ["", ""] if value is None else [f"{value:.0f}", f"{value / case['both']:.0f}"]
        rows.append(row)
    head = ["Gaussians", "pixels", "channels", *columns.values()]
    head += [text for other in others.values() for text in (f"{other}, and backward", "ratio")]
    return "Milliseconds:\n\n" + table(head, rows)


def rasterizer_notes(found: dict[str, Any]) -> str:
    """Return what is to be known about the table."""
    if "gsplat_both" in found["rasterizer"][0]:
        return "A ratio is gsplat's time by ours, forward and backward."
    return """A ratio is the time of torch by ours, forward and backward, both with all threads. Both renderers in torch
go tile by tile, vectorised over the pixels and the Gaussians of a tile, in float32. The plain one is the package's own,
which tests compare with; the fast one sorts the Gaussians into the tiles once and gathers what all tiles need in one
go, so that autograd does not fill a gradient of all Gaussians for each tile."""


def feature_table(steps: dict[str, float]) -> str:
    """Return the table of the feature stage."""
    rows = []
    for name, value in steps.items():
        rendered = steps[f"{name.rsplit(', ', 1)[0]}, frame rendered"]
        rows.append([name, f"{value:.1f}", f"1/{rendered / value:.1f}"])
    return table(["field, step", "ms", "of the rendered frame's time"], rows)


def threads(count: int) -> str:
    """Return a number of threads in words."""
    return f"{count} thread{'s' if count > 1 else ''}"


def table(head: list[str], rows: list[list[str]]) -> str:
    """Return a Markdown table, the first column to the left and the others to the right."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
