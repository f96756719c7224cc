"""`trase view` as a program; what its pages show is tested in a browser."""

import signal
import socket
import subprocess
import sys
import urllib.request
from functools import partial
from pathlib import Path

import pytest
import torch

from trase_ns.scene.gaussians import Gaussians
from trase_ns.scene.ply import write_ply

pytestmark = pytest.mark.slow


@pytest.fixture
def ply(tmp_path):
    gaussians = Gaussians(
        means=torch.rand(20, 3),
        quats=torch.tensor([1.0, 0, 0, 0]).expand(20, 4),
        scales=torch.full((20, 3), 0.1),
        opacities=torch.full((20,), 0.9),
        sh=torch.zeros(20, 1, 3),
    )
    write_ply(tmp_path / "scene.ply", gaussians)
    return tmp_path / "scene.ply"


def test_it_serves_a_ply_on_the_next_free_port_until_it_is_interrupted(ply):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        program = Path(sys.executable).parent / "trase"
        words = [program, "view", ply, "--port", str(port)]
        # Tests that run in the background hand down that interrupts are ignored.
        heed = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
        process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True, preexec_fn=heed)
        try:
            said = next(line for line in process.stderr if "in a browser" in line)
            assert f"(port {port} is taken)" in said
            url = said.split()[1]
            assert url.startswith("http://127.0.0.1:")
            assert not url.endswith(f":{port}")
            with urllib.request.urlopen(url, timeout=60) as answer:
                assert b"<html" in answer.read()
            process.send_signal(signal.SIGINT)
            assert process.wait(60) == 130
            assert "interrupted\n" in process.stderr.read()  # a socket that breaks off may have its say after it
        finally:
            process.kill()
            process.wait()


def test_what_is_no_scene_is_refused(command, tmp_path):
    (tmp_path / "notes.txt").write_text("")
    assert "is no scene" in command("trase", "view", tmp_path / "notes.txt", fails=True).stdout
