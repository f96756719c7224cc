"""A training with ns-train that is done once and goes on after a stop: its folder, its words and its end."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from trase_ns.files import atomic_write

FINISHED = "finished.json"


@dataclass(frozen=True)
class Training:
    """What to train, and where its run is.

    Attributes:
        data: folder of the data set.
        output_dir: as for ns-train.
        name: of the run, within the experiment that bears the name of the data set.
        options: further words for ns-train.
        method: of ns-train.
    """

    data: Path
    output_dir: Path
    name: str
    options: Sequence[str] = ()
    method: str = "trase"

    @property
    def folder(self) -> Path:
        """Folder of the run."""
        return self.output_dir / self.data.name / self.method / self.name

    @property
    def config(self) -> Path:
        """Its config.yml."""
        return self.folder / "config.yml"

    @property
    def seconds(self) -> float | None:
        """Seconds of the last start of a finished training; None where it is not finished."""
        try:
            content = json.loads((self.folder / FINISHED).read_text(encoding="utf-8"))
            return float(content["seconds"]) if self.config.exists() else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    @property
    def started(self) -> bool:
        """Whether there is a checkpoint to go on from."""
        return any((self.folder / "nerfstudio_models").glob("step-*.ckpt"))

    def words(self) -> list[str]:
        """Return the arguments of ns-train, which go on from the last checkpoint where there is one."""
        words = [self.method, "--data", str(self.data), "--output-dir", str(self.output_dir)]
        words += ["--experiment-name", self.data.name, "--timestamp", self.name, "--vis", "tensorboard", *self.options]
        return [*words, "--load-dir", str(self.folder / "nerfstudio_models")] if self.started else words

    def finish(self, seconds: float) -> None:
        """Note that the training is finished."""
        with atomic_write(self.folder / FINISHED) as temporary:
            temporary.write_text(json.dumps({"seconds": round(seconds, 1)}) + "\n", encoding="utf-8")


def step_seconds(history: Path) -> float:
    """Return the seconds that the steps of a run took, over all its starts; without start-up.

    Args:
        history: history.jsonl of the run.
    """
    from trase_ns.evaluation.report import read_history

    total, last = 0.0, 0.0
    for entry in read_history(history):
        seconds = float(entry["seconds"])
        total += seconds - last if seconds >= last else seconds  # a resumed run counts from zero
        last = seconds
    return total
