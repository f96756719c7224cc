"""Jobs of a scene's geometry: its training, and what its pictures and its rendering are worth."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trase_ns.bench.training import Training, step_seconds
from trase_ns.console import track
from trase_ns.errors import UserError

if TYPE_CHECKING:
    from trase_ns.plugin.run import Run

# Rendering is timed for at least so long, and over at least so many pictures.
_SECONDS = 1.0
_PICTURES = 5


def train(
    data: str, output_dir: str, name: str, options: list[str], method: str, preset: str | None, seed: int
) -> dict[str, Any]:
    """Train the geometry of a scene with ns-train in this process, or go on where it was stopped.

    Args:
        data: folder of the data set.
        output_dir: as for ns-train.
        name: of the run.
        options: further words for ns-train.
        method: of ns-train.
        preset: TRASE_PRESET for it, or None.
        seed: of the training.

    Returns:
        "steps_seconds", the time of the training's steps over all starts.

    Raises:
        UserError: the training refuses its options or the data set.
    """
    if preset is not None:
        os.environ["TRASE_PRESET"] = preset  # before the plugin is imported, which reads it
    words = ["--machine.seed", str(seed), "--pipeline.model.feature-steps", "0", *options]
    training = Training(Path(data), Path(output_dir), name, words, method)
    if training.seconds is None:
        from nerfstudio.scripts.train import entrypoint

        sys.argv = ["ns-train", *training.words()]
        started = time.monotonic()
        try:
            entrypoint()
        except SystemExit as error:
            if error.code:  # what is wrong with the words was printed
                raise UserError(f"ns-train {' '.join(training.words())} ended with status {error.code}") from error
        training.finish(time.monotonic() - started)
    return {"steps_seconds": round(step_seconds(training.folder / "history.jsonl"), 1)}


def measure(config: str) -> dict[str, Any]:
    """Compare the pictures of the held-out frames with the real ones, and measure size and speed of the scene.

    Args:
        config: config.yml of the run.

    Returns:
        "psnr" (dB), "ssim" and "lpips" (None where its weights are not on this machine), means over the held-out
        frames, None where there are none; "held_out", how many; "gaussians"; "width" and "height" of the training;
        "geometry_bytes", all parameters but the features; "fps_camera" and "fps_time", pictures a second where the
        camera moves at one time, and where time goes on for one camera; "steps_seconds" of the run's training.

    Raises:
        UserError: the run or its data cannot be loaded.
    """
    from trase_ns.plugin.run import load_run

    run = load_run(Path(config))
    camera = run.frames[0].camera
    return {
        **_image_quality(run),
        "gaussians": len(run.scene),
        "width": camera.width,
        "height": camera.height,
        "geometry_bytes": _geometry_bytes(run),
        **_frames_per_second(run),
        "steps_seconds": round(step_seconds(run.directory / "history.jsonl"), 1),
    }


def _image_quality(run: Run) -> dict[str, Any]:
    import torch

    from trase_ns.plugin.metrics import ImageMetrics
    from trase_ns.render import render_view

    metrics, mode = ImageMetrics(), run.model.config.rasterize_mode
    frames = [frame for frame in run.frames if frame.split != "train"]
    found: list[dict[str, float]] = []
    for frame in track(frames, "comparing pictures"):
        with torch.no_grad():
            view = render_view(
                run.scene.at(frame.time), frame.camera, background=run.background, rasterize_mode=mode
            ).color
        found.append(metrics(view, frame.image().to(view)))
    names = ("psnr", "ssim", "lpips")
    means = {name: [values[name] for values in found if name in values] for name in names}
    return {"held_out": len(frames), **{k: sum(v) / len(v) if v else None for k, v in means.items()}}


def _geometry_bytes(run: Run) -> int:
    scene = run.scene
    names = ("means", "quats", "log_scales", "logit_opacities", "sh0", "sh_rest", "motion")
    tensors = [getattr(scene, name, None) for name in names]
    if scene.field is not None:
        tensors += list(scene.field.state_dict().values())
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors if tensor is not None)


def _frames_per_second(run: Run) -> dict[str, float]:
    import torch

    from trase_ns.render import render_view

    scene, frames, mode = run.scene, run.frames, run.model.config.rasterize_mode
    still, middle = scene.at(frames[len(frames) // 2].time), frames[len(frames) // 2].camera

    def camera_moves(i: int) -> None:
        camera = frames[i % len(frames)].camera
        render_view(still, camera, background=run.background, rasterize_mode=mode)

    def time_goes_on(i: int) -> None:
        time_ = (i * 0.618034) % 1.0  # never the same moment twice
        render_view(scene.at(time_), middle, background=run.background, rasterize_mode=mode)

    with torch.no_grad():
        return {"fps_camera": 1 / median_seconds(camera_moves), "fps_time": 1 / median_seconds(time_goes_on)}


def median_seconds(step: Callable[[int], None], least: int = _PICTURES, seconds: float = _SECONDS) -> float:
    """Return the median time of a step that is repeated with 0, 1, 2 ...; the first one only warms up."""
    import torch

    def wait() -> None:
        if torch.cuda.is_available():
            torch.cuda.synchronize()

    def times() -> Iterator[float]:
        i, end = 0, None
        while end is None or i <= least or time.monotonic() < end:
            wait()
            before = time.perf_counter()
            step(i)
            wait()
            if end is None:
                end = time.monotonic() + seconds
            else:
                yield time.perf_counter() - before
            i += 1

    values = sorted(times())
    return values[len(values) // 2]
