"""The history of a training: one line of JSON every few steps, with the stage."""

import json

from trase_ns.plugin.history import TrainingProgress
from trase_ns.plugin.stages import stages


def test_lines_name_step_and_stage(tmp_path, capsys):
    path = tmp_path / "history.jsonl"
    progress = TrainingProgress(path, stages(2, 4, 6, 2), every=3)
    for step in range(8):
        progress.step(step, {"loss": 1.0 / (step + 1), "gaussians": 100, "psnr": 20.0})
    progress.close()
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["step"] for line in lines] == [0, 1, 3, 5, 6, 7]  # every third, and the last of each stage
    assert lines[0]["stage"].startswith("warm-up")
    assert lines[-1]["stage"] == "features"
    assert {"loss", "psnr", "gaussians", "seconds"} <= lines[0].keys()
    assert "stage 4 of 4: features" in capsys.readouterr().err
