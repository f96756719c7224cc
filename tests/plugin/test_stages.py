"""Stages: every step belongs to one, and none is empty."""

from trase_ns.plugin.stages import (
    DENSIFY,
    FEATURES,
    GEOMETRY,
    JOINT_DENSIFY,
    JOINT_GEOMETRY,
    WARM_UP,
    joint_step,
    stage_at,
    stages,
)


def test_stages_follow_each_other_without_gap():
    found = stages(warmup_steps=10, densify_until=50, geometry_steps=80, feature_steps=20)
    assert [(s.name, s.start, s.end) for s in found] == [
        (WARM_UP, 0, 10),
        (DENSIFY, 10, 50),
        (GEOMETRY, 50, 80),
        (FEATURES, 80, 100),
    ]


def test_stages_without_steps_are_left_out():
    assert [s.name for s in stages(0, 0, 30, 0)] == [GEOMETRY]
    assert [s.name for s in stages(100, 200, 30, 5)] == [WARM_UP, FEATURES]
    assert [s.name for s in stages(0, 200, 30, 0)] == [DENSIFY]


def test_stage_of_a_step():
    found = stages(10, 50, 80, 20)
    assert stage_at(0, found).name == WARM_UP
    assert stage_at(10, found).name == DENSIFY
    assert stage_at(79, found).name == GEOMETRY
    assert stage_at(80, found).name == FEATURES
    assert stage_at(1000, found).name == FEATURES


def test_joint_stages_end_with_the_geometry():
    found = stages(10, 50, 80, 20, joint=True)
    assert [(s.name, s.start, s.end) for s in found] == [
        (WARM_UP, 0, 10),
        (JOINT_DENSIFY, 10, 50),
        (JOINT_GEOMETRY, 50, 80),
    ]
    assert [s.name for s in stages(10, 50, 80, 0, joint=True)] == [WARM_UP, DENSIFY, GEOMETRY]


def test_joint_steps_are_spread_over_the_geometry_after_the_warm_up():
    due = {step: joint_step(step, 10, 80, 20) for step in range(100)}
    steps = [step for step, number in due.items() if number is not None]
    assert [due[step] for step in steps] == list(range(20))
    assert 10 <= steps[0] <= 13
    assert steps[-1] == 79
    assert {b - a for a, b in zip(steps, steps[1:])} <= {3, 4}
    assert [joint_step(step, 10, 14, 50) for step in range(9, 15)] == [None, 0, 1, 2, 3, None]
    assert joint_step(12, 10, 14, 0) is None
