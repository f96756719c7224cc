"""What pages and files can throw at the panel: one clear message each, no file elsewhere, viewer alive."""

import json
import re
import struct

import pytest
import torch
from balls import balls, camera, new_balls, spots  # noqa: F401 - fixtures
from panels import LEFT, Person, open_panel, panel, person, run_folder, scene, studio  # noqa: F401 - fixtures

from trase_ns.scene.ply import write_ply
from trase_ns.scene.portable import Portable, write_portable

pytestmark = pytest.mark.slow  # a viewer serves the panel

NAMES = [
    "../../../outside",
    "/absolute",
    "a/b\\c:d",
    "x" * 10_000,
    "{alert(1)}",
    "<script>alert(1)</script>",
    "</td>![x](y) [z](javascript:alert(1))",
    "a | b | c",
    "$x$ `y` ~z~ &lt;b&gt;",
    "import x from 'y'",
    "export const x = 1",
    "\u202egnp.exe",
    "[/red][bold]",
    "line\nbreak\x00\x07",
    "CON",
    "..",
]
NUMBERS = [float("nan"), float("inf"), float("-inf"), 1e300, -1e300]


@pytest.fixture(autouse=True)
def nothing_outside(tmp_path, run_folder):  # noqa: F811
    """Nothing is written beside the run's folder and what the test itself put there before."""
    (tmp_path / "given").mkdir()
    yield
    assert sorted(path.name for path in tmp_path.iterdir()) == ["given", "run"]
    assert not any(path.is_symlink() for path in run_folder.rglob("*"))


@pytest.fixture(autouse=True)
def alive(request, capfd):
    """In the end somebody can still select, and no fault was met on the way."""
    someone = request.getfixturevalue("person") if "person" in request.fixturenames else None
    yield
    if someone is not None:
        works(someone)
    said = capfd.readouterr()
    assert "Traceback" not in said.out + said.err


def works(person):  # noqa: F811
    """The panel does what it should."""
    assert "the terminal has the details" not in person.told
    person.panel.studio.go(0)
    person.panel.host.time = 0.0
    person.select(LEFT)
    assert int(person.panel.studio.selection().sum()) == 60
    assert torch.isfinite(person.panel.studio.scene().at(0.5).means).all()


def messages(person):  # noqa: F811
    """What the panel says below what is selected."""
    return person.told.split("\n\n", 1)[1:]


def export(person):  # noqa: F811
    section = person.panel.exporting
    person.press(section._export)
    person.wait_until(lambda: section._export.visible and not section._work.busy, "the export does not end")


@pytest.mark.parametrize("name", NAMES)
def test_names(person, studio, open_panel, run_folder, name):  # noqa: F811
    objects = person.panel.objects
    person.set(objects._name, name)
    kept = studio.objects[0].name
    assert 0 < len(kept) <= 100
    assert kept.isprintable()
    line = objects._list.content.splitlines()[2]
    cell = re.split(r"(?<!\\)\|", line)[2]
    assert not re.search(r"(?<!\\)[`*_{}\[\]<>#~$&]", cell), "the page would take it for markup"
    person.set(person.panel.exporting._what, "objects")
    export(person)
    files = [path for path in (run_folder / "exports").rglob("*") if path.is_file()]
    assert sum(path.suffix == ".ply" for path in files) == 2
    assert all(len(path.name) < 120 for path in files)
    person.press(person.panel.session._save)
    assert open_panel().studio.objects[0].name == kept


@pytest.mark.parametrize(
    "folder", [*NAMES, "../..", "~/x", "a/../../../b", "/", "", " ", "a/" * 3000, "\x00", "exports/../../x"]
)
def test_folders_to_export_to(person, run_folder, folder):  # noqa: F811
    person.set(person.panel.exporting._what, "scene")
    person.set(person.panel.exporting._folder, folder)
    export(person)
    written = list(run_folder.rglob("*.ply"))
    assert len(written) == 1 or "too long" in person.told
    assert len(messages(person)) == 1


@pytest.mark.parametrize("value", NUMBERS)
@pytest.mark.parametrize(
    ("section", "slider", "button"),
    [
        ("editing", "_strength", "_recolor"),
        ("editing", "_opacity", None),
        ("editing", "_size", None),
        ("editing", "_delay", "_retime"),
        ("selecting", "_similarity", None),
        ("selecting", "_like", "_similar"),
        ("objects", "_granularity", "_regroup"),
        ("text_prompts", "_share", None),
        ("host", "_time", None),
        ("host", "_resolution", None),
    ],
)
def test_sliders(person, studio, section, slider, button, value):  # noqa: F811
    studio.select("some", torch.arange(100) < 30, "replace")
    if slider == "_size":
        person.press(person.panel.editing._move)
    if slider == "_delay":
        person.set(person.panel.editing._time, "later")
    part = getattr(person.panel, section)
    try:
        person.set(getattr(part, slider), value)
    except (OverflowError, ValueError):
        return  # viser itself takes no such value for whole numbers
    if button is not None:
        person.press(getattr(part, button))
    gaussians = studio.scene().at(0.5)
    for name in ("means", "quats", "scales", "opacities", "sh"):
        assert torch.isfinite(getattr(gaussians, name)).all(), name
    assert 0 <= person.panel.host.time <= 1
    assert person.panel.host.camera(person.client).width <= 4096
    export(person)


@pytest.mark.parametrize("value", [*NUMBERS, 0.0])
def test_gizmos(person, studio, value):  # noqa: F811
    person.select()
    person.press(person.panel.editing._move)
    before = studio.scene().at(0.0).means
    gizmo = person.panel.editing._gizmo
    person.drag(gizmo, (0.0, 0.0, 0.0), wxyz=(value, value, value, value))
    if abs(value) > 1e299:
        person.drag(gizmo, (value, 0.0, 0.0))
    after = studio.scene().at(0.0).means
    assert torch.isfinite(after).all()
    assert torch.equal(after[60:], before[60:])


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1e30, 1e30])
def test_clicks_and_rectangles(person, studio, value):  # noqa: F811
    person.press(person.panel.selecting._start)
    person.click(value, 0.5)
    assert "outside the picture" in person.told
    person.press(person.panel.selecting._rectangle)
    person.draw(value, value, 0.5, 0.9)
    assert len(messages(person)) <= 1
    person.press(person.panel.selecting._scribble)
    person.click(value, 0.5)
    person.press(person.panel.selecting._end_scribble)
    assert len(messages(person)) == 1
    person.press(person.panel.selecting._stop)


@pytest.mark.parametrize("choice", ["", "garbage", "99: nothing", "-3: x", "²: x", "9" * 5000])
def test_entries_that_lists_do_not_have(person, studio, choice):  # noqa: F811
    person.set(person.panel.objects._pick, choice)
    person.set(person.panel.objects._other, choice)
    person.press(person.panel.objects._merge)
    person.set(person.panel.history._list, choice)
    assert len(messages(person)) <= 1


def damage(kind, folder, document):
    """Spoil the session in `folder`."""
    path = folder / "session.json"
    if kind == "cut short":
        path.write_bytes(path.read_bytes()[:200])
    elif kind == "no text":
        path.write_bytes(bytes(range(256)))
    elif kind == "nested":
        path.write_text("[" * 100_000)
    elif kind == "tensors cut short":
        (tensors,) = folder.glob("tensors-*")
        tensors.write_bytes(tensors.read_bytes()[:50])
    elif kind == "tensors gone":
        next(folder.glob("tensors-*")).unlink()
    else:
        changes = {
            "newer": {"version": 99},
            "of another run": {"run": {"gaussians": 5, "fingerprint": "0"}},
            "markup": {"tensors": "tensors-[/red]"},
            "outside": {"tensors": "tensors-/../../../given/x.safetensors"},
            "sources outside": {"sources": ["source-../../given/x.safetensors"]},
            "similarity": {"similarity": "high"},
            "no state": {"state": None},
            "view": {"view": [1, 2]},
        }
        path.write_text(json.dumps(document | changes[kind]))


@pytest.mark.parametrize(
    "kind",
    ["cut short", "no text", "nested", "tensors cut short", "tensors gone", "newer", "of another run", "markup"]
    + ["outside", "sources outside", "similarity", "no state", "view"],
)
def test_damaged_sessions_are_told_of_and_kept(open_panel, run_folder, kind):  # noqa: F811
    first = Person(open_panel())
    first.select()
    first.press(first.panel.session._save)
    folder = run_folder / "session"
    damage(kind, folder, json.loads((folder / "session.json").read_text()))
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    again = Person(open_panel())
    (message,) = messages(again)
    assert "session" in message
    assert "It was kept as" in message
    assert {path.name: path.read_bytes() for path in (run_folder / "session-refused-1").iterdir()} == before
    works(again)
    again.press(again.panel.session._save)
    assert Person(open_panel()).panel.studio.steps == ["click"]


@pytest.mark.parametrize("view", [{"time": "noon"}, {"time": None}, {"time": [0]}, {"time": 1e300}, {"other": {}}])
def test_views_of_sessions_that_make_no_sense(open_panel, run_folder, view):  # noqa: F811
    first = Person(open_panel())
    first.select()
    first.press(first.panel.session._save)
    path = run_folder / "session" / "session.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"view": view}))
    again = Person(open_panel())
    assert 0 <= again.panel.host.time <= 1
    works(again)


def portable(scene, path, kind):  # noqa: F811
    """Write a portable file with something wrong in it."""
    write_portable(path, Portable(scene))
    content = path.read_bytes()
    size = struct.unpack("<Q", content[:8])[0]
    header = json.loads(content[8 : 8 + size])
    body = content[8 + size :]
    if kind == "wrong shapes":
        header["means"]["shape"] = [header["means"]["shape"][1], header["means"]["shape"][0]]
    elif kind == "cut short":
        body = body[:100]
    elif kind == "1e12 elements":
        header["means"]["shape"] = [10**12, 3]
        header["means"]["data_offsets"][1] = header["means"]["data_offsets"][0] + 12 * 10**12
    elif kind == "long header":
        size = 1 << 40
        path.write_bytes(struct.pack("<Q", size) + content[8:])
        return
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + body)


@pytest.mark.parametrize("kind", ["wrong shapes", "cut short", "1e12 elements", "long header"])
@pytest.mark.parametrize("way", ["path", "upload"])
def test_portable_files_with_faults(person, studio, scene, tmp_path, kind, way):  # noqa: F811
    path = tmp_path / "given" / "guest.safetensors"
    portable(scene, path, kind)
    if way == "path":
        person.set(person.panel.editing._path, str(path))
        person.press(person.panel.editing._bring)
    else:
        person.upload(person.panel.editing._upload, path.name, path.read_bytes())
    (message,) = messages(person)
    assert "guest.safetensors" in message
    assert not studio.steps


@pytest.mark.parametrize(
    "content", [b"", b"garbage", bytes(range(256)) * 400, b"ply\nformat ascii 1.0\nelement vertex 9"]
)
@pytest.mark.parametrize(
    "name", ["a.ply", "a.safetensors", "a.splat", "a.png", "a", "", "../../b.ply", "x" * 9999, "\0.ply"]
)
def test_uploads_of_garbage(person, studio, name, content):  # noqa: F811
    person.upload(person.panel.editing._upload, name, content)
    assert len(messages(person)) == 1
    assert not studio.steps


@pytest.mark.parametrize("name", NAMES)
def test_uploads_with_odd_names(person, studio, scene, tmp_path, name):  # noqa: F811
    write_ply(tmp_path / "given" / "still.ply", scene.subset(torch.arange(10)).at(0.0))
    person.upload(person.panel.editing._upload, f"{name}.ply", (tmp_path / "given" / "still.ply").read_bytes())
    assert studio.counts().total == 110
    assert 0 < len(studio.objects[-1].name) <= 100


@pytest.mark.parametrize(
    "path", ["", ".", "/", "/dev/null", "missing.ply", "\0.ply", "x" * 9999 + ".ply", "/etc/passwd"]
)
def test_paths_of_nothing(person, studio, path):  # noqa: F811
    person.set(person.panel.editing._path, path)
    person.press(person.panel.editing._bring)
    assert len(messages(person)) == 1
    person.select()
    person.set(person.panel.style._path, path)
    person.press(person.panel.style._start)
    assert len(messages(person)) == 1
    assert studio.steps == ["click"]


def test_pictures_of_garbage(person, studio):  # noqa: F811
    person.select()
    person.upload(person.panel.style._upload, "../x.png", b"garbage")
    person.press(person.panel.style._start)
    (message,) = messages(person)
    assert "picture" in message
    assert studio.steps == ["click"]


@pytest.mark.parametrize("text", NAMES[3:8])
def test_words_to_look_for(person, studio, text, monkeypatch):  # noqa: F811
    from trase_ns.segmentation.text import BoxEngine

    def nothing(picture, text):
        return torch.zeros(0, 4).numpy(), torch.zeros(0).numpy()

    def no_masks(picture, boxes):
        return torch.zeros(0, *picture.shape[:2], dtype=torch.bool).numpy()

    monkeypatch.setattr(
        "trase_ns.viewer.sections.text_prompts.load_engine", lambda engine, device, space: BoxEngine(nothing, no_masks)
    )
    prompts = person.panel.text_prompts
    person.set(prompts._text, text)
    person.press(prompts._find)
    person.wait_until(lambda: not prompts._work.busy, "looking does not end")
    (message,) = messages(person)
    assert len(message) < 400
    assert not studio.steps
