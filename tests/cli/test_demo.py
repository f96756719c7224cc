"""The demo, small: everything is made, and made once."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

SIZE = ["--frames", "12", "--width", "96", "--height", "72"]
WORDS = ["demo", *SIZE, "--geometry-steps", "150", "--feature-steps", "10"]


@pytest.fixture(scope="module")
def demo(command, tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo") / "demo"
    done = command("trase", *WORDS, "--output-dir", folder)
    return folder, done.stdout


def test_everything_is_there(demo):
    folder, said = demo
    report = json.loads((folder / "report.json").read_text())
    assert {"miou", "macc", "psnr", "objects", "gaussians", "seconds"} <= report.keys()
    results = json.loads((folder / "evaluation" / "results.json").read_text())
    assert 0 < report["miou"] == results["miou"] < 1
    assert 10 < report["psnr"] < 40
    assert len(report["objects"]) >= 4
    assert all(0 <= entry["iou"] <= 1 for entry in report["objects"])
    assert report["seconds"] >= sum(report["seconds_by_stage"].values()) - 1
    assert Path(report["export"]).is_file()
    page = (folder / "report.html").read_text()
    assert "data:image/svg" in page
    for entry in report["objects"]:
        assert entry["name"] in page
    assert f"ns-viewer --load-config {report['config']}" in said


def test_a_second_start_uses_what_is_there(demo, command):
    folder, _ = demo
    before = json.loads((folder / "report.json").read_text())
    checkpoints = {p: p.stat().st_mtime_ns for p in folder.rglob("*.ckpt")}
    done = command("trase", *WORDS, "--output-dir", folder)
    assert "using the scene" in done.stdout
    assert "using the trained run" in done.stdout
    assert {p: p.stat().st_mtime_ns for p in folder.rglob("*.ckpt")} == checkpoints
    after = json.loads((folder / "report.json").read_text())
    assert after["miou"] == before["miou"]
    assert after["seconds_by_stage"]["training"] == before["seconds_by_stage"]["training"]


def test_stopped_in_training_it_leaves_no_process_behind(tmp_path):
    """SIGTERM ends the training too."""
    words = ["demo", *SIZE, "--geometry-steps", "100000", "--output-dir", str(tmp_path / "demo")]
    program = [sys.executable, "-m", "trase_ns", *words]
    with subprocess.Popen(program, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 300
        while not list((tmp_path / "demo").rglob("history.jsonl")):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.2)
        children = _children(process.pid)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) != 0
    assert children
    for child in children:
        with pytest.raises(ProcessLookupError):
            os.kill(child, 0)


def _children(pid):
    """Return the ids of the processes that `pid` started."""
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
