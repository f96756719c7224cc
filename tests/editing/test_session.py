"""A session comes back as it was; what is damaged, newer or of another scene is refused and kept."""

import json

import pytest
import torch

from trase_ns.editing import operations
from trase_ns.editing.apply import apply
from trase_ns.editing.edits import COLUMNS
from trase_ns.editing.history import History
from trase_ns.editing.session import Session, SessionFolder, open_session
from trase_ns.errors import UserError
from trase_ns.scene import clock
from trase_ns.scene.motion_basis import MotionBasis
from trase_ns.scene.similarity import Similarity

VIEW = {"time": 0.25, "camera": [[1.0, 0.0], [0.0, 1.0]]}


@pytest.fixture
def history(edits, rows, other):
    """One step of each kind; the last two are taken back."""
    history = History(edits)

    def do(label, operation):
        history.do(label, operation(history.edits, torch.nn.functional.pad(rows, (0, len(history.edits) - len(rows)))))

    do("select", lambda e, r: operations.select(e, r, torch.linspace(0, 1, len(e))))
    do("name", lambda e, r: operations.rename(e, 1, "Übung/..\\x"))
    do("tint", lambda e, r: operations.recolor(e, r, (1, 0, 0), 0.5))
    do("fade", lambda e, r: operations.fade(e, r, 0.5))
    do("place", lambda e, r: operations.place(e, r, Similarity.about(torch.ones(3), torch.eye(3), torch.ones(3), 2)))
    do("retime", lambda e, r: operations.retime(e, r, clock.at_speed(0.5, wrap="loop")))
    do("copy", lambda e, r: operations.duplicate(e, r, "twin"))
    moving = MotionBasis(3, 4).requires_grad_(False)
    scene = type(other)(**{**other.__dict__, "field": moving, "motion": torch.randn(len(other), 3)})
    do("bring in", lambda e, r: operations.bring_in(e, scene, "guest", clock=clock.backwards()))
    do("style", lambda e, r: operations.restyle(e, r, torch.randn(int(r.sum()), 4, 3)))
    do("split", lambda e, r: operations.split(e, 0, torch.arange(len(e)) < 4))
    do("hide", operations.hide)
    do("merge", lambda e, r: operations.merge(e, [0, 2]))
    history.undo()
    history.undo()
    return history


@pytest.fixture
def folder(tmp_path, scene):
    return SessionFolder(tmp_path / "session", lambda: scene)


def same(a, b):
    assert len(a) == len(b)
    for name in COLUMNS:
        assert torch.equal(getattr(a, name), getattr(b, name)), name
    assert [(o.name, o.color, o.support, o.rows.tolist()) for o in a.objects] == [
        (o.name, o.color, o.support, o.rows.tolist()) for o in b.objects
    ]


def test_a_session_comes_back_with_all_its_steps(folder, history, scene, tmp_path):
    folder.save(Session(history, 0.3, VIEW))
    again = SessionFolder(tmp_path / "session", lambda: scene).load()
    assert (again.similarity, again.view) == (0.3, VIEW)
    restored = again.history
    assert (restored.labels, restored.position) == (history.labels, history.position)
    same(restored.edits, history.edits)
    for position in [*range(len(history.steps), -1, -1), *range(len(history.steps) + 1)]:
        history.go(position)
        restored.go(position)
        same(restored.edits, history.edits)
        a, b = apply(restored.edits, scene).at(0.4), apply(history.edits, scene).at(0.4)
        for name in ("means", "quats", "scales", "opacities", "sh"):
            torch.testing.assert_close(getattr(a, name), getattr(b, name), msg=name)


def test_old_files_go_when_the_session_is_saved_anew(folder, history):
    folder.save(Session(history))
    first = {path.name for path in folder.directory.iterdir()}
    history.go(0)
    folder.save(Session(history))
    second = {path.name for path in folder.directory.iterdir()}
    assert len(first) == len(second) == 3  # the brought in scene is still in a step that can be redone
    assert len(first & second) == 2


def test_no_session_is_none(folder, edits):
    assert folder.load() is None
    session, message = open_session(folder, edits)
    assert session.history.edits is edits
    assert message == ""
    assert not folder.directory.exists()


def test_a_session_of_another_scene_is_refused_and_kept(folder, history, other, edits):
    folder.save(Session(history))
    before = {path.name: path.read_bytes() for path in folder.directory.iterdir()}
    elsewhere = SessionFolder(folder.directory, lambda: other)
    with pytest.raises(UserError, match="another state of the scene"):
        elsewhere.load()
    session, message = open_session(elsewhere, edits)
    assert session.history.edits is edits
    assert "session-refused-1" in message
    kept = folder.directory.with_name("session-refused-1")
    assert {path.name: path.read_bytes() for path in kept.iterdir()} == before
    assert not folder.directory.exists()


def test_a_newer_session_is_refused(folder, history):
    folder.save(Session(history))
    document = json.loads(folder.path.read_text())
    folder.path.write_text(json.dumps({**document, "version": 2}))
    with pytest.raises(UserError, match=r"version 2.*update trase_ns"):
        folder.load()


def tensors_file(folder):
    return next(folder.directory.glob("tensors-*"))


def damage_json(change):
    def damage(folder):
        document = json.loads(folder.path.read_text())
        change(document)
        folder.path.write_text(json.dumps(document))

    return damage


DAMAGES = {
    "empty": lambda f: f.path.write_text(""),
    "cut short": lambda f: f.path.write_text(f.path.read_text()[:500]),
    "not JSON": lambda f: f.path.write_bytes(b"\xff\xfe\x00"),
    "a list": lambda f: f.path.write_text("[]"),
    "deep": lambda f: f.path.write_text("[" * 100_000),
    "another format": damage_json(lambda d: d.update(format="x")),
    "tensors gone": lambda f: tensors_file(f).unlink(),
    "tensors cut short": lambda f: tensors_file(f).write_bytes(tensors_file(f).read_bytes()[:-9]),
    "outside": damage_json(lambda d: d.update(tensors="tensors-/../../x.safetensors")),
    "no state": damage_json(lambda d: d.pop("state")),
    "position": damage_json(lambda d: d["state"].update(position=99)),
    "rows": damage_json(lambda d: d["state"].update(rows=10**12)),
    "fewer rows": damage_json(lambda d: d["state"].update(rows=30)),
    "similarity": damage_json(lambda d: d.update(similarity="x")),
    "NaN view": damage_json(lambda d: d["view"].update(time=float("nan"))),
    "step order": damage_json(lambda d: d["state"]["steps"].reverse()),
    "step missing": damage_json(lambda d: d["state"]["steps"].pop(3)),
    "unknown column": damage_json(lambda d: d["state"]["steps"][0].update(columns=["__class__"])),
    "table": damage_json(lambda d: d["state"]["now"].update(objects=[77])),
    "placement": damage_json(lambda d: d["state"]["pools"]["placements"][1].update(scale=0)),
    "turn": damage_json(lambda d: d["state"]["pools"]["placements"][1].update(rotation=[[1, 2, 3]] * 3)),
    "clock": damage_json(lambda d: d["state"]["pools"]["clocks"][1][0].update(wrap="x")),
    "look": damage_json(lambda d: d["state"]["pools"]["looks"][1].update(matrix="x")),
    "name": damage_json(lambda d: d["state"]["pools"]["objects"][1].update(name="x" * 10_000)),
    "sources": damage_json(lambda d: d.update(sources=[])),
    "source name": damage_json(lambda d: d.update(sources=["source-../../etc.safetensors"])),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_damaged_sessions_are_refused_with_one_message_and_kept(name, folder, history, edits):
    folder.save(Session(history, 0.5, dict(VIEW)))
    DAMAGES[name](folder)
    before = {path.name: path.read_bytes() for path in folder.directory.iterdir()}
    with pytest.raises(UserError, match=r"session .* is (damaged|of)"):
        folder.load()
    assert {path.name: path.read_bytes() for path in folder.directory.iterdir()} == before


def test_values_that_point_outside_are_refused(folder, history, tmp_path):
    from safetensors.torch import load_file, save_file

    from trase_ns.files import sha256

    for name, value in {
        "now.source.values": 5,
        "now.index.values": -1,
        "now.placement.values": 40,
        "now.opacity.values": float("nan"),
        "now.likeness.values": float("inf"),
        "now.style.values": 10**6,
        "now.index.rows": 10**6,
        "object.1": 10**9,
        "step.0.likeness.rows": -4,
        "style.0": float("nan"),
    }.items():
        folder.save(Session(history))
        old = tensors_file(folder)
        tensors = load_file(old)
        tensors[name] = tensors[name].clone()
        tensors[name].flatten()[-1] = value
        save_file(tensors, tmp_path / "new.safetensors")
        new = f"tensors-{sha256(tmp_path / 'new.safetensors')[:16]}.safetensors"
        (tmp_path / "new.safetensors").rename(folder.directory / new)
        document = json.loads(folder.path.read_text())
        folder.path.write_text(json.dumps({**document, "tensors": new}))
        with pytest.raises(UserError, match="damaged"):
            folder.load()
