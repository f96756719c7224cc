"""The stages of a training run, by step."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Stage:
    """Steps `start` to `end` - 1 of a run.

    Attributes:
        name: what people call it.
        start, end: first step, and the step after the last.
    """

    name: str
    start: int
    end: int


WARM_UP = "warm-up without deformation"
DENSIFY = "geometry, deformation and densification"
GEOMETRY = "geometry and deformation"
FEATURES = "features"


def stages(warmup_steps: int, densify_until: int, geometry_steps: int, feature_steps: int) -> list[Stage]:
    """Return the stages in order; those without a step are left out.

    Args:
        warmup_steps: steps without deformation, counted in the geometry steps.
        densify_until: last step at which Gaussians are split, cloned and pruned.
        geometry_steps: all steps that train the geometry.
        feature_steps: steps that train the features with everything else frozen.
    """
    warm = min(warmup_steps, geometry_steps)
    dense = min(max(densify_until, warm), geometry_steps)
    borders = [0, warm, dense, geometry_steps, geometry_steps + feature_steps]
    names = [WARM_UP, DENSIFY, GEOMETRY, FEATURES]
    found = [Stage(name, start, end) for name, start, end in zip(names, borders, borders[1:])]
    return [stage for stage in found if stage.end > stage.start]


def stage_at(step: int, all_stages: list[Stage]) -> Stage:
    """Return the stage of `step`; the last one for steps beyond the end."""
    return next((stage for stage in all_stages if step < stage.end), all_stages[-1])
