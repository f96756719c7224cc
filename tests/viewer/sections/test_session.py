"""The session: saved by itself, on demand, and found by the next viewer."""

import json

import pytest

from trase_ns.editing.session import SessionFolder
from trase_ns.errors import UserError

pytestmark = pytest.mark.slow  # a viewer serves the panel


@pytest.fixture
def file(run_folder):
    return run_folder / "session" / "session.json"


def test_it_is_saved_by_itself_and_found_again(person, studio, file, open_panel):
    person.select()
    person.press(person.panel.editing._recolor)
    person.panel.host.time = 0.5
    person.wait_until(file.is_file, "no session is saved")
    person.wait_until(lambda: len(json.loads(file.read_text())["state"]["steps"]) == 2, "it is not saved whole")
    person.press(person.panel.session._save)
    again = open_panel()
    assert again.studio.steps == ["click", "recolour"]
    assert int(again.studio.selection().sum()) == 60
    assert again.history._list.value == "2: recolour"
    assert again.host.time == 0.5


def test_it_is_saved_on_demand(person, file):
    person.press(person.panel.session._save)
    assert str(file) in person.told
    assert file.is_file()


def test_nothing_is_written_as_long_as_nobody_does_anything(person, file):
    person.panel.session.flush()
    assert not file.exists()


def test_nothing_is_saved_before_the_geometry_is_trained(person, file):
    person.panel.settled = lambda: False
    person.select()
    person.panel.session.flush()
    person.press(person.panel.session._save)
    assert "once the geometry is trained" in person.told
    assert not file.exists()


def test_undo_is_saved_as_well(person, file, studio):
    person.select()
    person.panel.session.flush()
    studio.undo()
    person.panel.session.flush()
    assert json.loads(file.read_text())["state"]["position"] == 0


def test_a_session_that_cannot_be_saved_is_told_of(person, run_folder, studio):
    (run_folder / "session").write_text("a file where the folder should be")
    person.select()
    person.panel.session.flush()
    assert "could not be saved" in person.told
    assert int(studio.selection().sum()) == 60


def test_a_time_that_is_no_number_does_not_spoil_the_session(person, scene, file):
    person.set(person.panel.host._time, float("nan"))
    person.press(person.panel.session._save)
    try:
        session = SessionFolder(file.parent, lambda: scene).load()
    except UserError as error:
        pytest.fail(f"the next viewer refuses it: {error}")
    assert session.view == {"time": 0.0}


def test_saving_by_hand_and_by_itself_at_once(person, file, scene, studio):
    from concurrent.futures import ThreadPoolExecutor

    section = person.panel.session
    with ThreadPoolExecutor(4) as pool:
        for _ in range(20):
            studio.invert()
            for done in [pool.submit(section.flush), pool.submit(person.press, section._save)]:
                done.result()
            assert "Error" not in person.told
            assert "could not" not in person.told
    assert len(SessionFolder(file.parent, lambda: scene).load().history.steps) == 20
