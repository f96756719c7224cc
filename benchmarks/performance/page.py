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
Machine: {found["machine"]}; {found["threads"]} threads; load {found["load_before"]:.1f} before and
{found["load_after"]:.1f} after. A load beyond 1 before the start means that other programs ran beside this one.

Each time is that of the fastest of several calls. What stands in one row was measured by turns, so that the ratios hold
even where the times do not. The scenes are random, with a fixed seed: the more Gaussians, the smaller they are.

## Rasterizer

{rasterizer_table(found)}

{rasterizer_notes(found)}

![Cost against size](pictures/performance.svg)

## Feature stage

A step of the feature stage, the geometry frozen: the blending weights of the view kept, or those of the drawn pixels
computed anew; and the same loss by rendering all 32 channels of the frame, through the deformation field (the paper's,
8 x 256) and with its gradients.

{feature_table(found["feature_step"])}

## Parts

{table(["part", "ms"], [[name, f"{value:.1f}"] for name, value in found["parts"].items()])}

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
    rows = []
    gpu = "gsplat_both" in found["rasterizer"][0]
    for case in found["rasterizer"]:
        row = [f"{case['gaussians']:,}", f"{case['width']} x {case['height']}", str(case["channels"])]
        if gpu:
            other, columns = "gsplat", ["forward", "both"]
        else:
            other, columns = "torch", ["forward_one_thread", "forward", "both_one_thread", "both"]
        row += [f"{case[name]:.1f}" for name in columns]
        if f"{other}_both" in case:
            row += [f"{case[f'{other}_{name}']:.1f}" for name in ("forward", "both")]
            row.append(f"{case[f'{other}_both'] / case['both']:.1f}")
        else:
            row += ["", "", ""]
        rows.append(row)
    head = ["Gaussians", "pixels", "channels"]
    if gpu:
        head += ["forward", "and backward", "gsplat, forward", "gsplat, and backward", "ratio"]
    else:
        all_threads = f"{found['threads']} threads"
        head += ["forward, 1 thread", f"forward, {all_threads}", "and backward, 1 thread"]
        head += [f"and backward, {all_threads}", "torch, forward", "torch, and backward", "ratio"]
    return "Milliseconds:\n\n" + table(head, rows)


def rasterizer_notes(found: dict[str, Any]) -> str:
    """Return what is to be known about the table."""
    if "gsplat_both" in found["rasterizer"][0]:
        return "The ratio is gsplat's time by ours, forward and backward."
    return """The ratio is the time of plain torch by ours, forward and backward, both with all threads. The renderer
in plain torch goes tile by tile, vectorised over a tile's pixels and Gaussians, and gathers what all tiles need in one
go."""


def feature_table(step: dict[str, float]) -> str:
    """Return the table of the feature stage."""
    names = {"kept": "weights kept", "anew": "weights computed anew", "rendered": "frame rendered"}
    return table(
        ["step", "ms", "of the rendered frame's time"],
        [[text, f"{step[name]:.1f}", f"1/{step['rendered'] / step[name]:.1f}"] for name, text in names.items()],
    )


def table(head: list[str], rows: list[list[str]]) -> str:
    """Return a Markdown table, the first column to the left and the others to the right."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
