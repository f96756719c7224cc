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
JOINT_DENSIFY = "geometry, deformation, densification and features"
JOINT_GEOMETRY = "geometry, deformation and features"


def stages(
    warmup_steps: int, densify_until: int, geometry_steps: int, feature_steps: int, joint: bool = False
) -> list[Stage]:
    """Return the stages in order; those without a step are left out.

    Args:
        warmup_steps: steps without deformation, counted in the geometry steps.
        densify_until: last step at which Gaussians are split, cloned and pruned.
        geometry_steps: all steps that train the geometry.
        feature_steps: steps that train the features with everything else frozen.
        joint: they train them along with the geometry instead, after the warm-up.
    """
    warm = min(warmup_steps, geometry_steps)
    dense = min(max(densify_until, warm), geometry_steps)
    borders = [0, warm, dense, geometry_steps, geometry_steps + (0 if joint else feature_steps)]
    together = joint and feature_steps > 0
    names = [WARM_UP, *((JOINT_DENSIFY, JOINT_GEOMETRY) if together else (DENSIFY, GEOMETRY)), FEATURES]
    found = [Stage(name, start, end) for name, start, end in zip(names, borders, borders[1:])]
    return [stage for stage in found if stage.end > stage.start]


def stage_at(step: int, all_stages: list[Stage]) -> Stage:
    """Return the stage of `step`; the last one for steps beyond the end."""
    return next((stage for stage in all_stages if step < stage.end), all_stages[-1])


def joint_step(step: int, warmup_steps: int, geometry_steps: int, feature_steps: int) -> int | None:
    """Return which feature step is due at a step of a joint training, None for none.

    They are spread evenly over the geometry steps after the warm-up; where there are more of them, every such step is
    one.

    Args:
        step: the step, from 0.
        warmup_steps, geometry_steps, feature_steps: see `stages`.
    """
    room = geometry_steps - warmup_steps
    if not warmup_steps <= step < geometry_steps:
        return None
    count = min(feature_steps, room)
    before, after = ((step - warmup_steps + i) * count // room for i in (0, 1))
    return before if after > before else None
