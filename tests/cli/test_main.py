"""The `trase` command itself: what it imports, how it fails."""

import subprocess
import sys

import pytest

from trase_ns import cli
from trase_ns.cli import COMMANDS
from trase_ns.errors import UserError

HEAVY = ("torch", "nerfstudio", "gsplat", "numba", "matplotlib", "viser", "sklearn", "scipy", "cv2", "trimesh")


def python(code, **environment):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment or None)


@pytest.mark.parametrize("words", [["--help"], *([name, "--help"] for name in COMMANDS)], ids=" ".join)
def test_help_imports_nothing_heavy(words):
    code = f"""
import sys
from trase_ns.cli import main
try:
    main({words!r})
except SystemExit as end:
    assert end.code == 0, end.code
print("HEAVY:", sorted(set({HEAVY!r}) & set(sys.modules)))
"""
    done = python(code)
    assert done.returncode == 0, done.stderr
    assert "HEAVY: []" in done.stdout
    expected = (
        COMMANDS
        if words == ["--help"]
        else ["--load-config"]
        if words[0] not in ("masks", "demo", "frames", "view", "bench")
        else ["--"]
    )
    for text in expected:
        assert text in done.stdout


def test_it_runs_as_a_module_and_tells_its_version():
    done = subprocess.run([sys.executable, "-m", "trase_ns", "--version"], capture_output=True, text=True)
    assert done.returncode == 0
    assert done.stdout.startswith("trase_ns ")


def test_an_unknown_command_lists_the_known_ones(capsys):
    with pytest.raises(SystemExit) as end:
        cli.main(["exprot"])
    assert end.value.code == 2
    assert "export" in capsys.readouterr().err


@pytest.fixture
def failing(monkeypatch):
    """Make `trase extract` end with an exception."""

    def use(error):
        from trase_ns.cli import extract

        def main():
            raise error

        monkeypatch.setattr(extract, "main", main)

    return use


def test_a_users_mistake_is_one_message_without_traceback(failing, capsys):
    failing(UserError("frame 'x' is missing."))
    with pytest.raises(SystemExit) as end:
        cli.main(["extract"])
    assert end.value.code == 1
    assert capsys.readouterr().err == "error: frame 'x' is missing.\n"


def test_control_c_ends_with_130(failing, capsys):
    failing(KeyboardInterrupt())
    with pytest.raises(SystemExit) as end:
        cli.main(["extract"])
    assert end.value.code == 130
    assert "Traceback" not in capsys.readouterr().err


def test_debugging_shows_tracebacks(failing, monkeypatch):
    monkeypatch.setenv("TRASE_DEBUG", "1")
    failing(UserError("frame 'x' is missing."))
    with pytest.raises(UserError):
        cli.main(["extract"])


def test_our_own_faults_are_not_hidden(failing):
    failing(ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        cli.main(["extract"])
