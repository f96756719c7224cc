"""Broken benchmarks: each is one message that names the file and the place."""

import json
import os

import numpy as np
import pytest
from PIL import Image

from trase_ns.errors import UserError
from trase_ns.evaluation.benchmark import load_benchmark, read_mask

GOOD = {
    "version": 1,
    "objects": [
        {
            "name": "hand",
            "prompts": [{"frame": "image1.png", "x": 0.4, "y": 0.2, "positive": True}],
            "masks": "hand",
        }
    ],
}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "hand").mkdir()
    Image.fromarray(np.eye(8, dtype=bool)).save(tmp_path / "hand" / "image2.png")
    return tmp_path


def write(folder, document):
    text = document if isinstance(document, str) else json.dumps(document)
    (folder / "benchmark.json").write_text(text)


def changed(*path, value):
    document = json.loads(json.dumps(GOOD))
    place = document
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return document


def without(*path):
    document = json.loads(json.dumps(GOOD))
    place = document
    for key in path[:-1]:
        place = place[key]
    del place[path[-1]]
    return document


PROMPT = ("objects", 0, "prompts", 0)


def test_the_good_one_is_read(folder):
    write(folder, GOOD)
    assert [entry.name for entry in load_benchmark(folder).objects] == ["hand"]


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ("", "not JSON"),
        ('{"version": 1', "not JSON"),
        ("[" * 200_000, "not JSON"),
        ("[]", "JSON object"),
        ("null", "JSON object"),
        (changed("version", value=2), "only version 1"),
        (without("version"), "only version 1"),
        (without("objects"), '"objects"'),
        (changed("objects", value=[]), "at least one"),
        (changed("objects", value={"hand": {}}), "list"),
        (changed("objects", 0, value="hand"), "object 0 must be a JSON object"),
        (changed("objects", value=GOOD["objects"] * 2), "2 objects are named 'hand'"),
        (without("objects", 0, "name"), '"name"'),
        *[
            (changed("objects", 0, "name", value=name), '"name"')
            for name in ("", "..", ".hidden", "a/b", "a\\b", "../../etc", "a\nb", "a\0b", 7, None, "x" * 300)
        ],
        (changed("objects", 0, "prompts", value=[]), "object 'hand' needs \"prompts\""),
        (changed(*PROMPT, value=[0.4, 0.2]), "object 'hand', prompt 0 must be a JSON object"),
        (changed(*PROMPT, "positive", value=False), "no positive prompt"),
        (changed(*PROMPT, "positive", value=1), '"positive"'),
        (without(*PROMPT, "frame"), '"frame"'),
        (changed(*PROMPT, "frame", value=9), '"frame"'),
        (without(*PROMPT, "x"), '"x"'),
        *[(changed(*PROMPT, "x", value=x), '"x"') for x in (-0.01, 1.01, 200, "0.4", True, None, float("nan"), [1])],
        *[(changed(*PROMPT, "y", value=y), '"y"') for y in (-1e-9, float("inf"), {})],
        *[(changed(*PROMPT, "granularity", value=g), '"granularity"') for g in ("medium", 1, ["fine"])],
        (without("objects", 0, "masks"), '"masks"'),
        (changed("objects", 0, "masks", value=""), '"masks"'),
        (changed("objects", 0, "masks", value="nowhere"), "no masks"),
        (changed("objects", 0, "masks", value=".."), "outside the benchmark's folder"),
        (changed("objects", 0, "masks", value="hand/../.."), "outside the benchmark's folder"),
        (changed("objects", 0, "masks", value="/"), "outside the benchmark's folder"),
    ],
    ids=lambda value: None if isinstance(value, dict) else repr(value)[:40],
)
def test_each_mistake_is_one_message(folder, document, says):
    write(folder, document)
    with pytest.raises(UserError) as caught:
        load_benchmark(folder)
    message = str(caught.value)
    assert says in message
    assert str(folder / "benchmark.json") in message
    assert "\n" not in message


def test_masks_behind_a_link_out_of_the_folder_are_refused(folder, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside")
    Image.fromarray(np.eye(8, dtype=bool)).save(outside / "image2.png")
    os.symlink(outside, folder / "link")
    write(folder, changed("objects", 0, "masks", value="link"))
    with pytest.raises(UserError, match="outside the benchmark's folder"):
        load_benchmark(folder)


def test_no_benchmark_at_all(tmp_path):
    for folder in (tmp_path, tmp_path / "missing"):
        with pytest.raises(UserError, match="benchmark.json"):
            load_benchmark(folder)


def test_broken_masks_are_named(folder):
    path = folder / "hand" / "image2.png"
    Image.fromarray((np.random.default_rng(0).random((64, 64)) > 0.5).astype(np.uint8) * 255).save(path)
    whole = path.read_bytes()
    for content in (b"", b"no picture", whole[:30], whole[: len(whole) // 2]):
        path.write_bytes(content)
        with pytest.raises(UserError, match="image2.png"):
            read_mask(path)
    path.unlink()
    with pytest.raises(UserError, match="image2.png"):
        read_mask(path)
