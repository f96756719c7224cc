"""The whole benchmark on small scenes: trained, killed, gone on, spread over Ray's workers - and always the same."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from trase_ns.bench.plan import SCORES

pytestmark = pytest.mark.slow

METHOD = "trase-uplift"
PATIENCE = 400.0  # seconds, on a machine that is busy with other things


def program(*words):
    return [sys.executable, "-m", "trase_ns", "bench", *map(str, words)]


def scores(folder):
    """All that does not depend on the machine."""
    results = json.loads((folder / "results.json").read_text())
    found = {}
    for scene in results["scenes"]:
        for name, entry in scene["methods"].items():
            assert entry["error"] is None, entry["error"]
            found[scene["name"], name] = {key: entry[key] for key in (*SCORES, "objects", "found")}
        found[scene["name"], "pictures"] = {key: scene["pictures"][key] for key in ("psnr", "ssim", "gaussians")}
    return found


def wait_until(condition, process):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert process.poll() is None, "it ended"
        assert time.monotonic() < deadline, "it makes no progress"
        time.sleep(0.05)


@pytest.fixture(scope="module")
def two_runs(tiny_run, tmp_path_factory):
    """Two runs of one experiment."""
    folder = tmp_path_factory.mktemp("runs")
    return [shutil.copytree(tiny_run.parent, folder / name) for name in ("one", "two")]


@pytest.fixture(scope="module")
def one_process(two_runs, tmp_path_factory):
    """Folder of a benchmark that was killed in the middle of its second scene and went on."""
    folder = tmp_path_factory.mktemp("bench") / "out"
    words = program(folder, "--runs", *two_runs, "--methods", METHOD, "--threads", "1")
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    first, second = (folder / "scenes" / f"tiny-{name}" for name in ("one", "two"))
    wait_until((second / "pictures.log").exists, process)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (folder / "results.json").exists()
    done = {path: path.stat().st_mtime_ns for path in (first / "pictures.json", first / f"{METHOD}.json")}
    assert not (second / f"{METHOD}.json").exists()
    said = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=True).stdout
    assert {path: path.stat().st_mtime_ns for path in done} == done  # what was done is not done again
    assert said.count("done before") >= 2
    return folder


def test_killed_it_goes_on_and_writes_everything(one_process):
    results = json.loads((one_process / "results.json").read_text())
    assert [scene["name"] for scene in results["scenes"]] == ["tiny-one", "tiny-two"]
    found = scores(one_process)
    for key in (METHOD, "pictures"):  # the two runs are copies
        assert found["tiny-one", key] == found["tiny-two", key]
    entry = results["scenes"][0]["methods"][METHOD]
    assert 0 < entry["miou"] < 1
    assert entry["costs"]["click_ms"] > 0
    assert 100 < entry["memory_mb"] < 10_000
    assert min(results["scenes"][0]["pictures"][key] for key in ("fps_camera", "fps_time", "geometry_bytes")) > 0
    for name in ("results.csv", "results.md", "results.tex", "pictures/miou.png"):
        assert (one_process / name).stat().st_size > 100
    for scored in entry["objects"]:
        assert (one_process / "pictures" / "tiny-two" / f"{scored['name']}.jpg").is_file()


def test_two_workers_of_ray_give_the_same_though_one_is_killed(one_process, two_runs, tmp_path):
    pytest.importorskip("ray", reason="ray is not installed")
    words = program(tmp_path / "out", "--runs", *two_runs, "--methods", METHOD, "--threads", "1")
    words += ["--ray", "local", "--workers", "2"]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        logs = [tmp_path / "out" / "scenes" / f"tiny-{name}" / "pictures.log" for name in ("one", "two")]
        wait_until(lambda: all(log.exists() for log in logs), process)  # both scenes at a time
        os.kill(worker_of(process.pid), signal.SIGKILL)
        said, _ = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
    assert process.returncode == 0, said[-3000:]
    assert scores(tmp_path / "out") == scores(one_process)


def worker_of(driver):
    """Return the id of a worker that Ray started for this driver and that has a job running."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            words = (stat.parent / "cmdline").read_bytes().split(b"\0")
            parent = int(stat.read_text().rsplit(")", 1)[1].split()[1])
            if b"trase_ns.bench.worker" in words and driver in ancestors(parent):
                return parent
        except (OSError, ValueError, IndexError):
            continue
    raise AssertionError("no worker has a job")


def ancestors(pid):
    found = []
    while pid > 1:
        found.append(pid)
        pid = int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])
    return found


def test_a_scene_is_trained_and_what_cannot_run_is_a_row(tiny_scene, tiny_training, tmp_path):
    """The geometry is trained once; a method without its maps is a message, and the exit status says so."""
    options = [option for option in tiny_training if "vis" not in option and "feature" not in option]
    words = program(tmp_path / "out", "--scenes", tiny_scene, f"--training={' '.join(options)}", "--threads", "1")
    words += ["--methods", "trase", "trase-dgd", "--steps", "20", "--dgd-maps", tmp_path]
    done = subprocess.run(list(map(str, words)), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 1, done.stdout[-3000:]
    (scene,) = json.loads((tmp_path / "out" / "results.json").read_text())["scenes"]
    assert scene["geometry"]["steps_seconds"] > 0
    assert 0 < scene["methods"]["trase"]["miou"] < 1
    message = scene["methods"]["trase-dgd"]["error"]
    assert "has no feature map of a training frame" in message
    assert message in " ".join(done.stdout.split())
    assert "Traceback" not in done.stdout
    assert f"- trase-dgd (0 of 1): {message}" in (tmp_path / "out" / "results.md").read_text()
