"""The job of a method on a scene: its features and objects, their scores, and what they cost."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trase_ns.bench.geometry import median_seconds
from trase_ns.bench.methods import METHODS, needs_maps
from trase_ns.errors import UserError
from trase_ns.learning.methods.options import OPTIONS, Options

if TYPE_CHECKING:
    from trase_ns.evaluation.benchmark import Benchmark
    from trase_ns.plugin.run import Run, RunFrame
    from trase_ns.scene.gaussians import DynamicGaussians
    from trase_ns.segmentation.objects import Segmentation


@dataclass(frozen=True)
class MethodRun:
    """A run with the features and objects of a method; what scoring has to know of it."""

    run: Run
    scene: DynamicGaussians
    segmentation: Segmentation | None

    @property
    def config_path(self) -> Path:
        """config.yml of the run."""
        return self.run.config_path

    def frame(self, name: str) -> RunFrame:
        """Return a frame by its name; UserError where there is none."""
        return self.run.frame(name)


def evaluate_method(
    config: str,
    benchmark: str,
    method: str,
    seed: int,
    output_dir: str,
    steps: int | None = None,
    maps: str | None = None,
    keep: str | None = None,
) -> dict[str, Any]:
    """Make a method's features and objects on a finished geometry, and score them with the clicks of a benchmark.

    Args:
        config: config.yml of the run that has the geometry.
        benchmark: folder of the benchmark.
        method: one of `METHODS`.
        seed: of all that is drawn.
        output_dir: receives what `trase evaluate` writes, with pictures of the frames on the contact sheet.
        steps: of the features, instead of the method's own.
        maps: folder of the feature maps, for a method that distils them.
        keep: as --output-dir of ns-train: write a run with these features and objects there.

    Returns:
        "miou", "macc", "mbiou", "flicker", "floaters" and "objects" as `score` returns them, "found" (objects found),
        "costs": "features_seconds", "objects_seconds", "evaluation_seconds", "features_bytes" (as they are saved) and
        "click_ms", the median time from a click to the selected Gaussians; and "config" of the run that was kept.

    Raises:
        UserError: what the method needs is missing or cannot be read.
    """
    from trase_ns.evaluation.scoring import score, select_objects
    from trase_ns.plugin.features import objects_of, save_features, train
    from trase_ns.plugin.run import load_run

    entry = METHODS[method]
    options = with_inputs(method, steps, maps)
    run = load_run(Path(config))
    wanted = open_benchmark(Path(benchmark), run)
    started = time.monotonic()
    features, candidates = train(run, options, seed)
    trained = time.monotonic()
    segmentation = objects_of(run, options, features, candidates, entry.objects, seed=seed)  # type: ignore[arg-type]
    found = time.monotonic()
    scored = MethodRun(run, replace(run.scene, features=features), segmentation)
    selections = select_objects(scored, wanted, entry.similarity)
    output = Path(output_dir)
    results = score(scored, wanted, selections, output, {"similarity": entry.similarity}, all_pictures=False)
    ended = time.monotonic()
    kept = None if keep is None else str(save_features(run, features, segmentation, Path(keep), method))
    scores = {name: results[name] for name in ("miou", "macc", "mbiou", "flicker", "floaters", "objects")}
    return {
        **scores,
        "found": len(segmentation),
        "config": kept,
        "costs": {
            "features_seconds": round(trained - started, 2),
            "objects_seconds": round(found - trained, 2),
            "evaluation_seconds": round(ended - found, 2),
            "features_bytes": 2 * features.numel() + _state_bytes(segmentation),
            "click_ms": round(1000 * _click_seconds(scored, wanted, entry.similarity), 2),
        },
    }


def with_inputs(method: str, steps: int | None, maps: str | None) -> Options:
    """Return the options of a method as they are on this machine, which without a GPU does less, with its input.

    Args:
        method: one of `METHODS`.
        steps: instead of its own, where it trains.
        maps: folder of feature maps, where it needs such.

    Raises:
        UserError: it needs maps, and there are none.
    """
    from trase_ns.plugin.preset import method_options

    options: Any = METHODS[method].options
    if options == type(options)():
        options = method_options(next(name for name, kind in OPTIONS.items() if isinstance(options, kind)))
    if steps is not None and hasattr(options, "steps"):
        options = replace(options, steps=steps)
    if not needs_maps(method):
        return options
    if maps is None:
        raise UserError("it needs feature maps. Name their folder with --dgd-maps.")
    return replace(options, maps=Path(maps))


def open_benchmark(folder: Path, run: Run) -> Benchmark:
    """Read the benchmark in a folder, ours or a scene's of the Mask-Benchmark.

    Raises:
        UserError: there is none, or it cannot be read.
    """
    from trase_ns.evaluation.benchmark import load_benchmark
    from trase_ns.evaluation.mask_benchmark import is_mask_benchmark, load_mask_benchmark

    if is_mask_benchmark(folder):
        return load_mask_benchmark(folder, [frame.name for frame in run.frames if frame.split != "train"])
    return load_benchmark(folder)


def _click_seconds(run: MethodRun, benchmark: Benchmark, similarity: float | None) -> float:
    """Return the median time of a click: the scene at its moment, what lies under it, and the Gaussians of that."""
    from trase_ns.evaluation.scoring import to_prompt
    from trase_ns.segmentation.clicks import select

    prompts = [to_prompt(run, click) for entry in benchmark.objects for click in entry.clicks if click.positive]

    def click(i: int) -> None:
        with suppress(UserError):  # a click on nothing takes its time, too
            select(run.scene, run.segmentation, [prompts[i % len(prompts)]], similarity)

    return median_seconds(click, least=len(prompts))


def _state_bytes(segmentation: Segmentation) -> int:
    from torch import Tensor

    tensors = [value for value in segmentation.to_state().values() if isinstance(value, Tensor)]
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)
