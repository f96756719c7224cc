"""`trase masks` killed with SIGKILL at random moments: it goes on, and ends with the masks of an undisturbed run."""

import json
import multiprocessing
import os
import random
import subprocess
import sys
import time

import pytest
from PIL import Image

from trase_ns.cli import main

FRAMES = 4
KILLS = 20


@pytest.fixture
def data(assets, tmp_path):
    """A few small frames of the real video."""
    content = json.loads((assets / "hand_books" / "transforms.json").read_text())
    frames = content["frames"][::20][:FRAMES]
    (tmp_path / "images").mkdir()
    for frame in frames:
        Image.open(assets / "hand_books" / frame["file_path"]).resize((64, 48)).save(tmp_path / frame["file_path"])
    (tmp_path / "transforms.json").write_text(json.dumps({"fl_x": 33.0, "frames": frames}))
    return tmp_path


@pytest.fixture
def start(assets, data):
    """Start `trase masks` as a process of its own, whose imports are done already: kills hit the work itself."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["trase_ns.cli.masks", "trase_ns.masks.tiny_vit", "segment_anything"])
    command = ["masks", "--data", str(data), "--checkpoint", str(assets / "mobile_sam.pt"), "--device", "cpu"]
    command += ["--points-per-side", "2", "--output"]

    def run(output):
        process = context.Process(target=main, args=([*command, str(output)],))
        process.start()
        return process

    run.command = command
    return run


def finished_masks(folder):
    """Contents of all files under a final name, by file name."""
    return {path.name: path.read_bytes() for path in folder.glob("[!.]*.npz")}


@pytest.mark.slow
def test_kill_at_twenty_random_moments(start, tmp_path):
    rng = random.Random(int(os.environ.get("TRASE_KILL_SEED", "0")))
    begin = time.monotonic()
    process = start(tmp_path / "undisturbed")
    process.join()
    duration = time.monotonic() - begin
    assert process.exitcode == 0
    expected = finished_masks(tmp_path / "undisturbed")
    assert len(expected) == FRAMES

    kills, rounds = 0, 0
    while kills < KILLS:
        # A start goes on in the same folder until one ends; then the next round begins in a fresh folder.
        output = tmp_path / f"round{rounds}"
        process = start(output)
        process.join(rng.uniform(0, 0.5 * duration))
        if process.exitcode is None:
            process.kill()
            process.join()
            kills += 1
        else:
            assert process.exitcode == 0
            assert finished_masks(output) == expected
            rounds += 1
        assert expected.items() >= finished_masks(output).items()

    last = [sys.executable, "-c", "from trase_ns.cli import main; main()", *start.command, str(output)]
    subprocess.run(last, check=True)
    assert {path.name for path in output.iterdir()} == {*expected, ".lock", "preview.jpg"}
    assert finished_masks(output) == expected
