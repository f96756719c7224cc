"""Scenes on Ray's workers: the results of one process, also when a worker is killed; what is wrong is one message."""

import os
import signal
import sys
import threading
import time
from importlib import import_module
from pathlib import Path

import pytest

from trase_ns.bench.plan import run_scene
from trase_ns.bench.scenes import BenchScene
from trase_ns.bench.spread import PLAN, spread
from trase_ns.errors import UserError

PATIENCE = 300.0  # seconds


@pytest.fixture
def make_plan(tmp_path, monkeypatch):
    """Return what makes a plan of two scenes with cheap jobs, which workers can import, too."""
    monkeypatch.syspath_prepend(Path(__file__).parent)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    cheap_plan = import_module("cheap_plan")

    def make(name, seconds=0.0):
        output = tmp_path / name
        output.mkdir()
        (output / PLAN).touch()
        scenes = tuple(BenchScene(scene, tmp_path, tmp_path) for scene in ("ball", "crates"))
        return cheap_plan.CheapPlan(output, scenes, ("trase",), threads=1, seconds=seconds)

    return make


def sums(outcomes):
    return {scene: {name: o.result["sum"] for name, o in jobs.items()} for scene, jobs in outcomes.items()}


def lines(path):
    return path.read_text().splitlines() if path.exists() else []


@pytest.mark.slow
def test_a_killed_worker_costs_its_scene_a_new_start_and_nothing_else(make_plan):
    pytest.importorskip("ray", reason="ray is not installed")
    alone, plan = make_plan("alone"), make_plan("spread", seconds=8.0)
    expected = {scene.name: run_scene(alone, scene, lambda *_: None) for scene in alone.scenes}
    killed, told = [], []

    def kill():
        """Kill the worker of the second scene as soon as its slow job runs."""
        deadline = time.monotonic() + PATIENCE
        while not killed and time.monotonic() < deadline:
            for worker in lines(plan.output / "crates-slow.txt")[:1]:
                killed.append(int(worker))
                os.kill(killed[0], signal.SIGKILL)
            time.sleep(0.05)

    thread = threading.Thread(target=kill)
    thread.start()
    outcomes = spread(plan, "local", 2, lambda scene, job, outcome: told.append((scene.name, job.name)))
    thread.join()
    assert killed
    assert sums(outcomes) == sums(expected)
    assert sorted(told) == [("ball", "pictures"), ("ball", "trase"), ("crates", "pictures"), ("crates", "trase")]
    counts = {path.stem: len(lines(path)) for path in plan.output.glob("*.txt")}
    assert counts == {"ball-quick": 1, "ball-slow": 1, "crates-quick": 1, "crates-slow": 2}
    workers = set(lines(plan.output / "crates-slow.txt") + lines(plan.output / "ball-slow.txt"))
    assert len(workers) >= 2


def test_without_ray_there_is_one_message(make_plan, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UserError, match=r"--ray needs the package ray. Install it: pip install 'trase_ns\[ray\]'"):
        spread(make_plan("a"), "local", None, lambda *_: None)
