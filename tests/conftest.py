"""Fixtures and rules that all tests share."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

# Threads that wait for each other by spinning make a busy machine a hundred times slower.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

REPOSITORY = Path(__file__).resolve().parent.parent


def pytest_collection_modifyitems(items):
    """Skip tests marked `cuda` where there is no CUDA device."""
    if not any(item.get_closest_marker("cuda") for item in items):
        return
    import torch

    if not torch.cuda.is_available():
        skip = pytest.mark.skip(reason="no CUDA device")
        for item in items:
            if item.get_closest_marker("cuda"):
                item.add_marker(skip)


@pytest.fixture(scope="session")
def assets() -> Path:
    """Folder of real input: TRASE_ASSETS, else ../shared/assets beside the repository."""
    folder = Path(os.environ.get("TRASE_ASSETS", REPOSITORY.parent / "shared" / "assets"))
    if not folder.is_dir():
        pytest.skip("no real input: set TRASE_ASSETS to its folder")
    return folder


@pytest.fixture(scope="session")
def tiny_scene(tmp_path_factory) -> Path:
    """The built-in scene, small: 24 moments of 96 x 72 pixels, 6 held-out pictures."""
    from trase_ns.synthetic import make_scene

    return make_scene(tmp_path_factory.mktemp("data") / "tiny", frames=24, width=96, height=72, held_out=6, points=600)


@pytest.fixture(scope="session")
def layouts():
    """The module of tests/layouts.py, which writes small data sets in the layouts of others."""
    specification = importlib.util.spec_from_file_location("layouts", REPOSITORY / "tests" / "layouts.py")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


TINY_TRAINING = [
    "--pipeline.model.warmup-steps=50",
    "--pipeline.model.geometry-steps=300",
    "--pipeline.model.densify-from=60",
    "--pipeline.model.densify-until=200",
    "--pipeline.model.densify-every=50",
    "--pipeline.model.feature-steps=60",
    "--pipeline.model.features.pixels=500",
    "--pipeline.model.field-width=32",
    "--vis=tensorboard",
]


@pytest.fixture(scope="session")
def tiny_run(tiny_scene, tmp_path_factory) -> Path:
    """config.yml of a short training on the small scene, by ns-train itself."""
    output = tmp_path_factory.mktemp("outputs")
    run_command(
        "ns-train", "trase", "--data", tiny_scene, "--output-dir", output, "--timestamp", "tiny", *TINY_TRAINING
    )
    return output / "tiny" / "trase" / "tiny" / "config.yml"


def run_command(*words, fails: bool = False, **options) -> subprocess.CompletedProcess:
    """Run a program of this environment; what it prints is in `.stdout`, errors among it.

    Args:
        words: program and arguments.
        fails: the program is expected to fail.
        options: those of `subprocess.run`.
    """
    program = Path(sys.executable).parent / str(words[0])
    done = subprocess.run(
        [str(program), *map(str, words[1:])],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "COLUMNS": "200", "MPLBACKEND": "Agg"},
        timeout=900,
        **options,
    )
    assert (done.returncode != 0) == fails, done.stdout[-4000:]
    return done


@pytest.fixture(scope="session")
def command():
    """Return `run_command`, which runs a program of this environment."""
    return run_command


@pytest.fixture(scope="session")
def tiny_training() -> list[str]:
    """Options of ns-train for a short training."""
    return TINY_TRAINING
