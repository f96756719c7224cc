"""The course of a training: a line of JSON every few steps, and a bar that names the stage."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from trase_ns.console import console
from trase_ns.errors import UserError
from trase_ns.plugin.stages import Stage, stage_at

_LINE_SECONDS = 20.0


class TrainingProgress:
    """Shows the stage, the step and an estimate; a plain line now and then where there is no terminal.

    Args:
        path: file of the history, JSON lines with step, stage, loss, psnr, gaussians and seconds.
        stages: the stages of the run.
        every: steps between two lines of the history.
    """

    def __init__(self, path: Path, stages: list[Stage], every: int = 10):
        self.path, self.stages, self.every = path, stages, every
        self._started = time.monotonic()
        self._printed = -_LINE_SECONDS
        self._stage: Stage | None = None
        columns = [TextColumn("[bold]{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()]
        self._bar = Progress(*columns, TimeRemainingColumn(), TextColumn("{task.fields[numbers]}"), console=console)
        self._task = None

    def step(self, step: int, values: dict[str, Any]) -> None:
        """Take note of a step that is done.

        Args:
            step: its number.
            values: "loss", "gaussians" and where there is one "psnr".
        """
        stage = stage_at(step, self.stages)
        seconds = time.monotonic() - self._started
        numbers = f"loss {values['loss']:.4f}  {values['gaussians']:,} Gaussians"
        if "psnr" in values:
            numbers += f"  {values['psnr']:.1f} dB"
        if step % self.every == 0 or step + 1 == stage.end:
            self._write({"step": step, "stage": stage.name, **values, "seconds": round(seconds, 2)})
        position = f"stage {self.stages.index(stage) + 1} of {len(self.stages)}: {stage.name}"
        if console.is_terminal:
            self._show_bar(stage, position, step, numbers)
        elif stage is not self._stage or seconds - self._printed > _LINE_SECONDS or step + 1 == stage.end:
            self._printed = seconds
            console.print(f"{position}, step {step + 1} of {self.stages[-1].end}, {numbers}", highlight=False)
        self._stage = stage

    def _write(self, line: dict[str, Any]) -> None:
        try:
            with open(self.path, "a", encoding="utf8") as file:
                file.write(json.dumps(line) + "\n")
        except OSError as error:
            raise UserError(
                f"cannot write {self.path}: {error.strerror}. Free space and resume with --load-dir "
                f"{self.path.parent / 'nerfstudio_models'}"
            ) from error

    def _show_bar(self, stage: Stage, position: str, step: int, numbers: str) -> None:
        if stage is not self._stage:
            if self._task is not None:
                self._bar.stop_task(self._task)
            self._bar.start()
            # Each stage has its own speed, so its own bar and estimate.
            self._task = self._bar.add_task(position, total=stage.end - stage.start, numbers="")
        assert self._task is not None
        self._bar.update(self._task, completed=step + 1 - stage.start, numbers=numbers)

    def close(self) -> None:
        """Leave the terminal as it was."""
        self._bar.stop()
