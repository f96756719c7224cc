"""What a benchmark does: the jobs of each scene, in their order, and the results that are made of them."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trase_ns import __version__
from trase_ns.bench.evaluation import with_inputs
from trase_ns.bench.jobs import VERSION, Job, Outcome, digest, fingerprint, finished, run_job
from trase_ns.bench.methods import METHODS, needs_maps
from trase_ns.bench.scenes import BenchScene
from trase_ns.bench.training import Training
from trase_ns.files import sha256

GEOMETRY, PICTURES, MAPS = "geometry", "pictures", "maps"
SCORES = ("miou", "macc", "mbiou", "flicker", "floaters")
NOT_RUN = "not run: "
Report = Callable[[BenchScene, Job, Outcome], None]


@dataclass(frozen=True)
class Plan:
    """All that a benchmark was asked for.

    Attributes:
        output: folder of everything.
        scenes: the scenes.
        methods: names of the methods.
        seed: of trainings and methods.
        training: further words for ns-train.
        trainer: method of ns-train that makes the geometry.
        steps: of the features, instead of the methods' own.
        maps: folder of feature maps, "{scene}" standing for the scene's name; None makes them where need be.
        map_model: makes them, see `make_maps`.
        map_weights: of that model.
        threads: of each job.
        keep: write a run for each method.
    """

    output: Path
    scenes: tuple[BenchScene, ...]
    methods: tuple[str, ...]
    seed: int = 0
    training: tuple[str, ...] = ()
    trainer: str = "trase"
    steps: int | None = None
    maps: str | None = None
    map_model: str | None = None
    map_weights: str | None = None
    threads: int = 2
    keep: bool = False

    def folder(self, scene: BenchScene) -> Path:
        """Folder of a scene's results."""
        return self.output / "scenes" / scene.name

    def config(self, scene: BenchScene) -> Path:
        """config.yml of the run that has a scene's geometry, whether it is trained yet or not."""
        return scene.config or self._run(scene).config

    def jobs(self, scene: BenchScene) -> list[Job]:
        """Return the jobs of a scene in their order: the geometry first, if it is to be trained."""
        folder, jobs = self.folder(scene), []
        geometry = self._geometry(scene)
        if scene.config is None:
            jobs.append(self._training_job(scene))
        config = str(self.config(scene))
        jobs.append(
            Job(PICTURES, "trase_ns.bench.geometry:measure", {"config": config}, geometry, folder / "pictures.json")
        )
        maps = str(folder / MAPS) if self.maps is None else self.maps.replace("{scene}", scene.name)
        source: dict[str, Any] = {"model": self.map_model, "weights": self.map_weights}
        if self.maps is not None:
            source = {"maps": fingerprint(Path(maps))}
        elif any(needs_maps(name) for name in self.methods):
            options = {"config": config, "output_dir": maps, **source}
            jobs.append(
                Job(MAPS, "trase_ns.bench.maps:make_maps", options, {**geometry, **source}, folder / "maps.json")
            )
        truth = fingerprint(scene.benchmark)
        for name in self.methods:
            options = {"config": config, "benchmark": str(scene.benchmark), "method": name, "seed": self.seed}
            options |= {"output_dir": str(folder / name), "steps": self.steps}
            options |= {"maps": maps if needs_maps(name) else None}
            options |= {"keep": str(self.output / "runs") if self.keep else None}
            decides = {"geometry": geometry, "benchmark": truth, "seed": self.seed, "steps": self.steps}
            decides |= {"method": [repr(METHODS[name]), repr(with_inputs(name, self.steps, MAPS))], "keep": self.keep}
            decides |= {"maps": source if needs_maps(name) else None}
            jobs.append(
                Job(name, "trase_ns.bench.evaluation:evaluate_method", options, decides, folder / f"{name}.json")
            )
        return jobs

    def _geometry(self, scene: BenchScene) -> dict[str, Any]:
        """What decides a scene's geometry."""
        if scene.config is not None:
            return {"checkpoint": _checkpoint(scene.config)}
        return {
            "data": fingerprint(scene.data),
            "seed": self.seed,
            "training": list(self.training),
            "trainer": self.trainer,
            "preset": _preset(scene),
        }

    def _training_job(self, scene: BenchScene) -> Job:
        run = self._run(scene)
        options = {"data": str(run.data), "output_dir": str(run.output_dir), "name": run.name}
        options |= {"options": list(run.options), "method": run.method, "preset": _preset(scene), "seed": self.seed}
        path = self.folder(scene) / "geometry.json"
        return Job(GEOMETRY, "trase_ns.bench.geometry:train", options, self._geometry(scene), path)

    def _run(self, scene: BenchScene) -> Training:
        # Named after all that decides it: a run of other data or options is another one.
        name = digest([self._geometry(scene), VERSION, __version__])[:8]
        return Training(scene.data, self.output / "geometry", name, self.training, self.trainer)


def run_scene(plan: Plan, scene: BenchScene, report: Report) -> dict[str, Outcome]:
    """Do the jobs of a scene, one after the other; those that are done already are taken as they are.

    Args:
        plan: the benchmark.
        scene: one of its scenes.
        report: told of each job when it is done.

    Returns:
        The outcome of each job by its name. Without a geometry all others fail with its message.
    """
    threads = {name: str(plan.threads) for name in ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS", "MKL_NUM_THREADS")}
    outcomes: dict[str, Outcome] = {}
    for job in plan.jobs(scene):
        if job.name == GEOMETRY and not plan.config(scene).exists():
            job.path.unlink(missing_ok=True)  # whoever removed the run wants another
        outcome = _in_vain(job, outcomes) or run_job(job, threads)
        outcomes[job.name] = outcome
        report(scene, job, outcome)
    return outcomes


def _in_vain(job: Job, outcomes: Mapping[str, Outcome]) -> Outcome | None:
    """Return the outcome of a job whose input could not be made; None where it can be done."""
    geometry, maps = (outcomes.get(name, Outcome()).error for name in (GEOMETRY, MAPS))
    if geometry is not None:
        return Outcome(error=f"no geometry: {geometry}")
    if maps is not None and job.name in METHODS and needs_maps(job.name):
        return Outcome(error=f"{NOT_RUN}{maps}")
    return None


def known_outcomes(plan: Plan, scene: BenchScene) -> dict[str, Outcome]:
    """Return the outcomes of a scene's jobs that are done already, by their names."""
    found = {job.name: finished(job, quiet=True) for job in plan.jobs(scene)}
    return {name: outcome for name, outcome in found.items() if outcome is not None}


def results_of(plan: Plan, outcomes: Mapping[str, Mapping[str, Outcome]]) -> dict[str, Any]:
    """Return what results.json holds.

    Args:
        plan: the benchmark.
        outcomes: of the jobs of each scene, by the names of scenes and jobs.

    Returns:
        Plain JSON values: "scenes", each with "pictures" (see `measure`), "geometry" and "methods" (see
        `evaluate_method`; with "error" instead where a method failed), and "means" of each method over the scenes,
        each with "scenes", the number of those on which the method has a score.
    """
    scenes = [_scene(plan, scene, outcomes[scene.name]) for scene in plan.scenes]
    return {
        "version": 1,
        "trase_ns": __version__,
        "machine": machine(),
        "seed": plan.seed,
        "training": list(plan.training),
        "steps": plan.steps,
        "threads": plan.threads,
        "methods": {name: METHODS[name].description for name in plan.methods},
        "scenes": scenes,
        "means": {name: means_of([scene["methods"][name] for scene in scenes]) for name in plan.methods},
    }


def failures(results: Mapping[str, Any]) -> list[str]:
    """Return a sentence for each job that failed, in the order of scenes and methods.

    Args:
        results: see `results_of`.
    """
    found = []
    for scene in results["scenes"]:
        entries = {GEOMETRY: scene[GEOMETRY], PICTURES: scene[PICTURES], **scene["methods"]}
        found += [f"{scene['name']}, {name}: {e['error']}" for name, e in entries.items() if e.get("error")]
    return found


def machine() -> str:
    """Describe this machine in a line."""
    import torch

    info = Path("/proc/cpuinfo")
    lines = info.read_text(errors="replace").splitlines() if info.exists() else []
    name = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "")
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    return (
        f"{name or platform.processor() or platform.machine()}, {os.cpu_count()} cores, {gpu}; Python "
        f"{platform.python_version()}, PyTorch {torch.__version__}, trase_ns {__version__}"
    )


def _scene(plan: Plan, scene: BenchScene, outcomes: Mapping[str, Outcome]) -> dict[str, Any]:
    entries = {name: _entry(outcome) for name, outcome in outcomes.items()}
    return {
        "name": scene.name,
        "about": scene.about,
        "preset": scene.preset,
        GEOMETRY: entries.get(GEOMETRY, {"error": None}),  # a run that was there already
        PICTURES: entries[PICTURES],
        MAPS: entries.get(MAPS),
        "methods": {name: entries[name] for name in plan.methods},
    }


def _entry(outcome: Outcome) -> dict[str, Any]:
    return {"error": outcome.error, **outcome.result}


def means_of(entries: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the means of a method's scores and costs over the scenes that have them, and how many these are.

    Args:
        entries: of the method, one for each scene.
    """
    scored = [entry for entry in entries if not entry["error"]]
    means = {name: mean([entry[name] for entry in scored]) for name in SCORES}
    costs = {key: mean([entry["costs"][key] for entry in scored]) for key in (scored[0]["costs"] if scored else ())}
    if scored:
        costs["memory_mb"] = mean([entry["memory_mb"] for entry in scored])
    return {"scenes": len(scored), **means, "costs": costs}


def mean(values: Sequence[float | None]) -> float | None:
    """Return the mean of the values that are there, None without any."""
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _preset(scene: BenchScene) -> str | None:
    return scene.preset or os.environ.get("TRASE_PRESET") or None


def _checkpoint(config: Path) -> str:
    """Return the hash of a run's newest checkpoint."""
    from trase_ns.plugin.checkpoints import checkpoints

    found = checkpoints(config.parent / "nerfstudio_models")
    return sha256(found[0]) if found else "none"
