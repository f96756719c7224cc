import os
import random
import subprocess
import sys
import time

import numpy as np
import pytest

from trase_ns.errors import UserError
from trase_ns.masks import MaskSet, MaskStore


def make_masks(frame="a", seed=0, count=4, size=(20, 30)):
    rng = np.random.default_rng(seed)
    return MaskSet.from_dense(frame, rng.random((count, *size)) < 0.4, rng.random(count))


def test_round_trip(tmp_path):
    store = MaskStore(tmp_path)
    for masks in (make_masks("cam0/1.5"), make_masks("empty", count=0)):
        store.save(masks, {"model": "x"})
        again = store.load(masks.frame)
        assert (again.frame, again.height, again.width, again.rles) == (masks.frame, 20, 30, masks.rles)
        np.testing.assert_array_equal(again.scores, masks.scores)
    assert store.frames() == ["cam0/1.5", "empty"]
    assert "empty" in store
    assert "other" not in store
    assert store.key("empty") == {"model": "x"}
    assert store.key("other") is None


def test_same_masks_same_bytes(tmp_path):
    store = MaskStore(tmp_path)
    store.save(make_masks("a"), {"b": 1, "a": 2})
    first = store.path("a").read_bytes()
    store.save(make_masks("a"), {"a": 2, "b": 1})
    assert store.path("a").read_bytes() == first


def test_files_are_small(tmp_path):
    store = MaskStore(tmp_path)
    y, x = np.mgrid[:480, :640]
    masks = MaskSet.from_dense("a", np.stack([np.hypot(y - 200, x - 30 * i) < 20 + 5 * i for i in range(20)]))
    store.save(masks, {})
    assert store.path("a").stat().st_size < 10_000


@pytest.mark.parametrize("keep", [0, 10, 100, -40, -1])
def test_truncated_file_is_named(tmp_path, keep):
    store = MaskStore(tmp_path)
    store.save(make_masks(), {"model": "x"})
    content = store.path("a").read_bytes()
    store.path("a").write_bytes(content[:keep])
    with pytest.raises(UserError, match=r"a\.npz is damaged .* delete it and run `trase masks` again"):
        store.load("a")
    assert store.key("a") is None


def test_every_flipped_byte_is_noticed_or_harmless(tmp_path):
    store = MaskStore(tmp_path)
    masks = make_masks(count=1, size=(6, 5))
    store.save(masks, {"model": "x"})
    content = store.path("a").read_bytes()
    for place in range(len(content)):
        store.path("a").write_bytes(content[:place] + bytes([content[place] ^ 0x55]) + content[place + 1 :])
        try:
            again = store.load("a")
        except UserError:
            continue
        assert again.rles == masks.rles


def test_pickles_are_never_run(tmp_path):
    class Bomb:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "ran"),)

    np.savez(tmp_path / "a.npz", size=np.array([Bomb()], dtype=object), key=np.array([Bomb()], dtype=object))
    with pytest.raises(UserError, match="damaged"):
        MaskStore(tmp_path).load("a")
    assert MaskStore(tmp_path).key("a") is None
    assert not (tmp_path / "ran").exists()


def test_missing_frame(tmp_path):
    with pytest.raises(UserError, match="frame a has no masks in .*trase masks"):
        MaskStore(tmp_path).load("a")


def test_one_writer_at_a_time_and_leftovers_go(tmp_path):
    store = MaskStore(tmp_path)
    (tmp_path / ".unfinished").mkdir()
    (tmp_path / ".unfinished" / ".a-xyz.npz").write_bytes(b"half")
    with store.writing():
        assert not (tmp_path / ".unfinished").exists()
        store.save(make_masks(), {})
        with pytest.raises(UserError, match="another process is making masks"), MaskStore(tmp_path).writing():
            pass
    assert store.frames() == ["a"]
    assert not (tmp_path / ".unfinished").exists()


def test_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match="cannot write masks to .*--output"), MaskStore(tmp_path / "file").writing():
        pass


WRITER = """
import sys
import numpy as np
from trase_ns.masks import MaskSet, MaskStore

store = MaskStore(sys.argv[1])
sets = [MaskSet.from_dense(f"f{i}", np.random.default_rng(i).random((30, 100, 100)) < 0.4) for i in range(3)]
with store.writing():
    print("writing", flush=True)
    for turn in range(10**9):
        store.save(sets[turn % 3], {"turn": turn})
"""


@pytest.mark.slow
def test_kill_leaves_only_whole_files(tmp_path):
    rng = random.Random(int(os.environ.get("TRASE_KILL_SEED", "0")))
    store = MaskStore(tmp_path)
    expected = {f"f{i}": np.random.default_rng(i).random((30, 100, 100)) < 0.4 for i in range(3)}
    for _ in range(20):
        process = subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE)
        assert process.stdout.readline() == b"writing\n"
        time.sleep(rng.uniform(0, 0.2))
        assert process.poll() is None
        process.kill()
        process.communicate()
        assert set(store.frames()) <= set(expected)
        for name in store.frames():
            np.testing.assert_array_equal(store.load(name).dense(), expected[name])
        with store.writing():
            pass
        assert sorted(path.name for path in tmp_path.iterdir() if path.name != ".lock") == [
            f"{name}.npz" for name in store.frames()
        ]
