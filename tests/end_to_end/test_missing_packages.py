"""ns-train lists all methods when an optional package is missing, or one that trase cannot work with is there."""

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

OPTIONAL = ["segment_anything", "transformers", "gsply", "ray", "trimesh", "embreex", "playwright", "pytest", "ruff"]

RUN = """
import sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {blocked!r}:
            raise ModuleNotFoundError("No module named " + repr(name), name=name)
sys.meta_path.insert(0, Missing())
{before}
sys.argv = ["ns-train", "--help"]
from nerfstudio.scripts.train import entrypoint
entrypoint()
"""


def help_text(blocked=(), before=""):
    done = subprocess.run(
        [sys.executable, "-c", RUN.format(blocked=set(blocked), before=before)],
        capture_output=True,
        text=True,
        env={**os.environ, "COLUMNS": "250"},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def test_without_any_optional_package():
    shown = help_text(OPTIONAL)
    assert "splatfacto" in shown
    assert "trase" in shown


def test_with_another_nerfstudio():
    """Another version than the one that works is said in the list, and ns-train goes on for other methods."""
    before = (
        "import importlib.metadata as m; real = m.version\n"
        "m.version = lambda name: '9.9.9' if name == 'nerfstudio' else real(name)"
    )
    shown = help_text(before=before)
    assert "splatfacto" in shown
    assert "nerfstudio 1.1.5, not 9.9.9" in " ".join(shown.replace("│", " ").split())
