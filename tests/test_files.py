"""Folders whose files appear together or not at all."""

import os

import pytest

from trase_ns.errors import UserError
from trase_ns.files import atomic_folder


def files(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def fill(folder, *names, **options):
    with atomic_folder(folder, **options) as staging:
        for name in names:
            (staging / name).parent.mkdir(parents=True, exist_ok=True)
            (staging / name).write_text(name)
            assert not (folder / name).exists() or options.get("overwrite")


def test_files_appear_when_all_are_there(tmp_path):
    fill(tmp_path / "a" / "b", "one", "deep/er/two")
    assert files(tmp_path) == ["a/b/deep/er/two", "a/b/one"]
    assert os.listdir(tmp_path / "a" / "b") in (["one", "deep"], ["deep", "one"])


def fail(folder, error):
    with atomic_folder(folder, overwrite=True, stale=["o*"]) as staging:
        (staging / "two").write_text("half")
        raise error("stop")


@pytest.mark.parametrize("error", [UserError, KeyboardInterrupt])
def test_a_failure_leaves_what_was_there(tmp_path, error):
    fill(tmp_path / "old", "one")
    for name in ("old", "new"):
        with pytest.raises(error):
            fail(tmp_path / name, error)
    assert files(tmp_path) == ["old/one"]
    assert os.listdir(tmp_path) == ["old"]


def test_a_full_folder_is_left_alone_unless_asked(tmp_path):
    fill(tmp_path, "frame1.png", "frame2.png", "notes")
    with pytest.raises(UserError, match="--overwrite"):
        fill(tmp_path, "frame1.png")
    fill(tmp_path, "frame1.png", "new", overwrite=True, stale=["frame*.png"])
    assert files(tmp_path) == ["frame1.png", "new", "notes"]


def test_an_empty_folder_and_hidden_files_are_no_hindrance(tmp_path):
    (tmp_path / ".hidden").write_text("")
    fill(tmp_path, "one")
    assert files(tmp_path) == [".hidden", "one"]


def test_a_folder_that_cannot_be_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(UserError, match="cannot write .*file"):
            fill(folder, "one")
