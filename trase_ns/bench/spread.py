"""Scenes spread over machines and GPUs with Ray: a task for each scene, started again when its worker dies."""

from __future__ import annotations

import os
import socket
from typing import Any

from trase_ns.bench.jobs import Job, Outcome, finished
from trase_ns.bench.plan import Plan, Report, known_outcomes, run_scene
from trase_ns.bench.scenes import BenchScene
from trase_ns.errors import UserError

LOCAL = "local"
RETRIES = 3
PLAN = "bench.json"
# Ray keeps results of tasks in shared memory; ours are small.
_STORE = 100 << 20
_LOOK = 1.0  # seconds between two looks for jobs that are done


def spread(plan: Plan, address: str, workers: int | None, report: Report) -> dict[str, dict[str, Outcome]]:
    """Do the jobs of all scenes, several scenes at a time; the results are those of one process.

    A worker that dies costs its scene a new start, which goes on after the jobs that are done.

    Args:
        plan: the benchmark. Its folder, the data sets and trase_ns must be in the same places on all machines.
        address: of a Ray cluster, or "local": Ray is started on this machine.
        workers: scenes at a time, for "local"; by default as many as there are cores for.
        report: told of each job when it is done.

    Returns:
        The outcomes of each scene's jobs, by the names of scenes and jobs.

    Raises:
        UserError: Ray is not installed or cannot be reached, a machine lacks the benchmark's folder, or a scene's
            worker died too often.
    """
    ray = _ray()
    try:
        _connect(ray, plan, address, workers)
        gpus = 1 if ray.cluster_resources().get("GPU", 0) >= 1 else 0
        task = ray.remote(num_cpus=plan.threads, num_gpus=gpus, max_retries=RETRIES)(_on_worker)
        waiting = {task.remote(plan, scene): scene for scene in plan.scenes}
        watch = _Watch(plan, report)
        found: dict[str, dict[str, Outcome]] = {}
        while waiting:
            done, _ = ray.wait(list(waiting), num_returns=1, timeout=_LOOK)
            watch.look()
            for reference in done:
                scene = waiting.pop(reference)
                found[scene.name] = _fetch(ray, reference, scene)
                watch.look(scene, found[scene.name])
        return found
    finally:
        ray.shutdown()


class _Watch:
    """Reports jobs as their results appear on disk."""

    def __init__(self, plan: Plan, report: Report):
        self.report = report
        self.left: dict[str, dict[str, tuple[BenchScene, Job]]] = {}
        for scene in plan.scenes:
            known = known_outcomes(plan, scene)
            jobs = plan.jobs(scene)
            for job in jobs:
                if job.name in known:
                    report(scene, job, known[job.name])
            self.left[scene.name] = {job.name: (scene, job) for job in jobs if job.name not in known}

    def look(self, scene: BenchScene | None = None, outcomes: dict[str, Outcome] | None = None) -> None:
        """Report what is new; of a scene that is done all that is left."""
        for name, left in self.left.items():
            for job_name, (of, job) in list(left.items()):
                ended = scene is not None and name == scene.name
                outcome = (outcomes or {}).get(job_name) if ended else finished(job, quiet=True)
                if outcome is not None:
                    del left[job_name]
                    self.report(of, job, Outcome(outcome.result, outcome.error))


def _on_worker(plan: Plan, scene: BenchScene) -> dict[str, Outcome]:
    if not (plan.output / PLAN).exists() or not scene.data.is_dir():
        missing = plan.output if not (plan.output / PLAN).exists() else scene.data
        raise UserError(
            f"--ray: {missing} is not there on {socket.gethostname()}: use folders that all machines share."
        )
    return run_scene(plan, scene, lambda *_: None)


def _connect(ray: Any, plan: Plan, address: str, workers: int | None) -> None:
    common = {"log_to_driver": False, "configure_logging": False}
    if address == LOCAL:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing goes out
        cores = (workers or max(1, (os.cpu_count() or 1) // plan.threads)) * plan.threads
        try:
            ray.init(address=LOCAL, num_cpus=cores, include_dashboard=False, object_store_memory=_STORE, **common)
        except Exception as error:  # on a machine that is too busy Ray gives up with a plain Exception
            raise UserError(
                f"--ray local: Ray did not start ({_first_line(error)}). Try again, or go without."
            ) from error
        return
    try:
        ray.init(address=address, **common)
    except (ConnectionError, ValueError, RuntimeError, AssertionError) as error:
        raise UserError(
            f"--ray {address}: no Ray cluster answers there ({_first_line(error)}). Start one with `ray start --head`, "
            "or use --ray local."
        ) from error


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def _fetch(ray: Any, reference: Any, scene: BenchScene) -> dict[str, Outcome]:
    try:
        return ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, UserError):
            raise error.cause from None
        raise
    except ray.exceptions.RayError as error:
        raise UserError(
            f"--ray: the workers of scene {scene.name} died {RETRIES + 1} times ({type(error).__name__}). The same "
            "command goes on; if it happens again, look for a lack of memory."
        ) from error


def _ray() -> Any:
    try:
        import ray
    except ImportError as error:
        raise UserError("--ray needs the package ray. Install it: pip install 'trase_ns[ray]'") from error
    return ray
