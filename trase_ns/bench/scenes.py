"""The scenes of a benchmark: the synthetic suite, data sets on disk, or runs that are trained already."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from trase_ns.errors import UserError
from trase_ns.evaluation.benchmark import FILE_NAME, load_benchmark
from trase_ns.evaluation.mask_benchmark import FOLDER, is_mask_benchmark
from trase_ns.synthetic.suite import SUITE, make_suite, suite_scene_of


@dataclass(frozen=True)
class BenchScene:
    """A scene to compare methods on.

    Attributes:
        name: of the scene, a folder's name.
        data: folder of the data set.
        benchmark: folder with the clicks and the ground truth.
        preset: TRASE_PRESET of its training, or None.
        config: config.yml of a run with its geometry, or None to train one.
        about: what the scene stresses, in a few words.
    """

    name: str
    data: Path
    benchmark: Path
    preset: str | None = None
    config: Path | None = None
    about: str = ""


def suite_scenes(
    folder: Path, seed: int, names: Sequence[str] | None = None, preset: str | None = None
) -> list[BenchScene]:
    """Make the synthetic suite, or some scenes of it, and return them.

    Args:
        folder: receives the data sets; those that are there already are used again.
        seed: of the suite.
        names: of scenes of the suite; all of them by default.
        preset: TRASE_PRESET of their trainings, instead of their own.

    Raises:
        UserError: there are none; see also `make_suite`.
    """
    if names is not None and not names:
        raise UserError(f"--suite: name at least one of {', '.join(SUITE)}.")
    return scenes_at(list(make_suite(folder, seed, names).values()), preset)


def scenes_at(paths: Sequence[Path], preset: str | None = None, benchmark: str | None = None) -> list[BenchScene]:
    """Return data sets on disk as scenes.

    Args:
        paths: folders of the data sets.
        preset: TRASE_PRESET of their trainings; by default a scene of the suite has its own, others that of the device.
        benchmark: folder of the benchmark, "{scene}" standing for the scene's name; by default `benchmark` in the
            folder of the data set, or this folder itself where it is one of the Mask-Benchmark.

    Raises:
        UserError: there are no scenes, two of one name, a folder that is not there, or one without a benchmark.
    """
    if not paths:
        raise UserError("--scenes: name at least one folder of a data set.")
    scenes = []
    for path in paths:
        data = Path(path).resolve()
        if not data.is_dir():
            raise UserError(f"--scenes: there is no folder {path}.")
        known = suite_scene_of(data)
        own = known.preset if known is not None else None
        about = known.stress if known is not None else ""
        scenes.append(BenchScene(data.name, data, _benchmark(data.name, data, benchmark), preset or own, about=about))
    return _told_apart(scenes, benchmark)


def scenes_of_runs(configs: Sequence[Path], benchmark: str | None = None) -> list[BenchScene]:
    """Return finished runs as scenes, named after their experiments: their geometry is taken as it is.

    Args:
        configs: config.yml of each run, or its folder.
        benchmark: as for `scenes_at`.

    Raises:
        UserError: there are no runs, a run or its data cannot be found, or one has no benchmark.
    """
    from trase_ns.plugin.run import read_config

    if not configs:
        raise UserError("--runs: name the config.yml of at least one run.")
    found = []
    for path in configs:
        config = Path(path).resolve()
        config = config / "config.yml" if config.is_dir() else config
        settings = read_config(config)
        found.append((config, settings.pipeline.datamanager.data, settings.experiment_name or config.parent.name))
    names = [name for _, _, name in found]
    scenes = []
    for config, data, name in found:
        if names.count(name) > 1:  # several runs of one experiment
            name = f"{name}-{config.parent.name}"
        if data is None or not data.is_dir():
            raise UserError(f"the data set of {config}, {data}, is gone: put it back.")
        known = suite_scene_of(data)
        about = known.stress if known is not None else ""
        scenes.append(BenchScene(name, data, _benchmark(name, data, benchmark), config=config, about=about))
    return _told_apart(scenes, benchmark)


def _benchmark(name: str, data: Path, pattern: str | None) -> Path:
    """Return the folder of a scene's benchmark, after a look into it: what is wrong shows before the work."""
    if pattern is not None:
        folder = Path(pattern.replace("{scene}", name)).resolve()
    else:
        folder = data if is_mask_benchmark(data) else data / "benchmark"
    if is_mask_benchmark(folder):
        return folder
    if not (folder / FILE_NAME).is_file():
        raise UserError(
            f"scene {name} has no benchmark: neither {FILE_NAME} nor {FOLDER} is in {folder}. Write one (see "
            "docs/evaluation.md), or name its folder with --benchmark."
        )
    return load_benchmark(folder).directory


def _told_apart(scenes: list[BenchScene], benchmark: str | None) -> list[BenchScene]:
    names = [scene.name for scene in scenes]
    for name in names:
        if names.count(name) > 1:
            raise UserError(f"two scenes are called {name}: their results would be mixed up. Rename one's folder.")
    if benchmark is not None and "{scene}" not in benchmark and len(scenes) > 1:
        raise UserError("--benchmark: of several scenes each has its own; write {scene} for its name.")
    return scenes
