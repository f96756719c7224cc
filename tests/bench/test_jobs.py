"""Jobs are done once, in processes of their own, and what is wrong with them is one message."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from trase_ns.bench.jobs import Job, Outcome, fingerprint, finished, remaining, run_job

HERE = {"PYTHONPATH": str(Path(__file__).parent)}


def job(folder, action="add", decides=None, **options):
    return Job("sum", f"cheap_jobs:{action}", options, decides or options, folder / "results" / "sum.json")


def adding(folder, a=1, b=2, decides=None):
    return job(folder, a=a, b=b, log=str(folder / "log.txt"), decides=decides)


def runs(folder):
    return (folder / "log.txt").read_text().splitlines()


def test_a_job_is_done_once_and_again_when_what_decides_it_changes(tmp_path):
    first = run_job(adding(tmp_path), {**HERE, "OMP_NUM_THREADS": "3"})
    assert (first.error, first.again, first.result["sum"], first.result["threads"]) == (None, False, 3, "3")
    second = run_job(adding(tmp_path), HERE)
    assert (second.again, second.result) == (True, first.result)
    assert runs(tmp_path) == ["1 + 2"]
    assert run_job(adding(tmp_path, b=5), HERE).result["sum"] == 6
    assert runs(tmp_path) == ["1 + 2", "1 + 5"]


def test_paths_decide_nothing(tmp_path):
    assert adding(tmp_path, decides={"a": 1}).key == adding(tmp_path / "moved", decides={"a": 1}).key
    assert adding(tmp_path, decides={"a": 1}).key != adding(tmp_path, decides={"a": 2}).key


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"key": 1}', b'{"key": "x", "result": 5}', b"\xff\xfe\x00"])
def test_a_damaged_result_is_made_again_with_a_warning(tmp_path, content, capsys):
    wanted = adding(tmp_path)
    wanted.path.parent.mkdir()
    wanted.path.write_bytes(content)
    assert finished(wanted) is None
    assert "is damaged" in capsys.readouterr().err
    assert run_job(wanted, HERE).result["sum"] == 3
    assert json.loads(wanted.path.read_text())["key"] == wanted.key


def test_memory_and_time_are_those_of_the_job_alone(tmp_path):
    own = bytearray(300 << 20)  # of this process, which must not count
    small = run_job(job(tmp_path / "a", "take", megabytes=1), HERE).result
    large = run_job(job(tmp_path / "b", "take", megabytes=120), HERE).result
    assert 110 < large["memory_mb"] - small["memory_mb"] < 130
    assert small["memory_mb"] < 200 < len(own)
    assert small["seconds"] >= 0


def test_a_message_for_users_is_the_outcome_and_the_next_start_tries_again(tmp_path):
    refused = job(tmp_path, "refuse", message="frame 7 has no mask. Make it.")
    assert run_job(refused, HERE) == Outcome(error="frame 7 has no mask. Make it.")
    assert finished(refused) is None
    assert run_job(adding(tmp_path), HERE).error is None  # an old message is no message


@pytest.mark.parametrize(("action", "how"), [("crash", "ended with exit status 1"), ("die", "ended by signal 9")])
def test_a_crash_names_its_log(tmp_path, action, how):
    crashed = job(tmp_path, action)
    outcome = run_job(crashed, HERE)
    assert outcome.error is not None
    assert how in outcome.error
    assert str(crashed.log) in outcome.error
    assert action == "die" or "what nobody expected" in crashed.log.read_text()


def test_a_job_ends_with_the_process_that_wanted_it(tmp_path):
    """Killed with SIGKILL, which nobody can answer, it leaves no process behind."""
    started = tmp_path / "pid"
    program = "from test_jobs import job, run_job; from pathlib import Path; import sys; "
    program += "run_job(job(Path(sys.argv[1]), 'wait', started=sys.argv[2]))"
    words = [sys.executable, "-c", program, str(tmp_path), str(started)]
    process = subprocess.Popen(words, env={**os.environ, **HERE})
    deadline = time.monotonic() + 60
    while not (started.exists() and started.read_text()):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    child = int(started.read_text())
    process.send_signal(signal.SIGKILL)
    process.wait()
    while Path(f"/proc/{child}").exists() and "Z" not in Path(f"/proc/{child}/stat").read_text().split()[2]:
        assert time.monotonic() < deadline, "the job goes on"
        time.sleep(0.05)
    assert not job(tmp_path).path.exists()


def test_a_fingerprint_is_of_names_and_contents(tmp_path):
    for name in ("a", "b", "c", "d"):
        (tmp_path / name / "images").mkdir(parents=True)
        (tmp_path / name / "images" / "1.png").write_bytes(b"picture")
    (tmp_path / "b" / ".lock").touch()
    (tmp_path / "c" / "images" / "1.png").write_bytes(b"another")
    (tmp_path / "d" / "images" / "1.png").rename(tmp_path / "d" / "images" / "2.png")
    prints = {name: fingerprint(tmp_path / name) for name in "abcd"}
    assert prints["a"] == prints["b"]
    assert len(set(prints.values())) == 3


def test_what_is_left_is_estimated_by_the_means_of_what_was_done():
    assert remaining({}, ["geometry", "trase"]) is None
    done = {"geometry": [100.0, 200.0], "pictures": [10.0], "trase": [20.0]}
    assert remaining(done, ["geometry", "trase"]) == 170
    assert remaining(done, ["trase-cgc"]) == 15  # as the others that are no trainings
    assert remaining({"geometry": [100.0]}, ["pictures"]) == 100
    assert remaining(done, []) == 0
