"""ns-train trase, killed at random moments, goes on from its last checkpoint and reaches the last step."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

pytestmark = pytest.mark.slow

KILLS = 20
LAST = 359


def checkpoints(run):
    return sorted((run / "nerfstudio_models").glob("*")) if (run / "nerfstudio_models").is_dir() else []


def test_training_survives_twenty_kills(tiny_scene, tiny_run, tiny_training, tmp_path):
    """Each start goes on where the killed one was; a checkpoint every 3 steps makes kills while saving likely."""
    rng = random.Random(int(os.environ.get("TRASE_KILL_SEED", "0")))
    program = str(Path(sys.executable).parent / "ns-train")
    common = [program, "trase", "--data", str(tiny_scene), "--output-dir", str(tmp_path), "--experiment-name", "killed"]
    common += [*tiny_training, "--steps-per-save", "3"]
    run, reached, kills, starts = None, -1, 0, 0
    while kills < KILLS:
        starts += 1
        assert starts < 4 * KILLS, "training makes no progress between kills"
        # The last steps are left to the run that is not killed.
        name = f"start-{starts:02d}"
        resume = ["--load-dir", str(run / "nerfstudio_models")] if run is not None else []
        steps = ["--max-num-iterations", str(LAST - 20)]
        process = subprocess.Popen(
            [*common, *resume, *steps, "--timestamp", name], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        folder = tmp_path / "killed" / "trase" / name
        if rng.random() < 0.25:  # at any moment, also before anything is trained
            time.sleep(rng.uniform(0, 8))
        else:  # within a moment of the first new checkpoint: while steps are made and saved
            deadline = time.monotonic() + 300
            while process.poll() is None and not checkpoints(folder) and time.monotonic() < deadline:
                time.sleep(0.02)
            time.sleep(rng.uniform(0, 0.3))
        ended = process.poll()
        process.send_signal(signal.SIGKILL)
        output = process.communicate()[0]
        assert ended in (None, 0), output[-3000:]
        kills += ended is None
        found = checkpoints(folder)
        for path in found:  # nothing half-written under a final name
            state = torch.load(path, map_location="cpu", weights_only=True)
            assert path.name == f"step-{state['step']:09d}.ckpt"
        steps_done = [int(path.stem.split("-")[1]) for path in found]
        if found:
            assert min(steps_done) >= reached, "went on from an older step than it had reached"
            run, reached = folder, max(steps_done)
    subprocess.run([*common, "--load-dir", str(run / "nerfstudio_models"), "--timestamp", "end"], check=True)
    end = tmp_path / "killed" / "trase" / "end"
    final = torch.load(end / "nerfstudio_models" / f"step-{LAST:09d}.ckpt", map_location="cpu", weights_only=True)
    whole = torch.load(
        tiny_run.parent / "nerfstudio_models" / f"step-{LAST:09d}.ckpt", map_location="cpu", weights_only=True
    )
    assert final["step"] == whole["step"]
    assert final["pipeline"].keys() == whole["pipeline"].keys()
    assert final["pipeline"]["_model._extra_state"]["indptr"].numel() > 1  # objects were found
