"""The panel in Nerfstudio's own viewer, which serves a hand-made model; no browser."""

import math
import socket
import threading
from contextlib import nullcontext
from types import SimpleNamespace

import pytest
import torch

from trase_ns.editing.studio import Studio
from trase_ns.errors import UserError
from trase_ns.viewer.playback import Playback

pytestmark = pytest.mark.slow  # importing the viewer takes most of it


@pytest.fixture(scope="module")
def host_module():
    from trase_ns.viewer import nerfstudio_host

    return nerfstudio_host


@pytest.fixture(scope="module")
def served(new_balls, host_module, tmp_path_factory):
    """A running viewer, as ns-viewer makes it, of a model that shows the two balls; and the balls."""
    from nerfstudio.cameras.cameras import Cameras
    from nerfstudio.configs.base_config import ViewerConfig
    from nerfstudio.viewer.viewer import Viewer

    balls = new_balls()

    class Model(torch.nn.Module):
        device = torch.device("cpu")

        def __init__(self):
            super().__init__()
            self.studio = Studio(balls.scene, lambda: balls.segmentation)
            self.segmentation_panel = host_module.NerfstudioPanel(self.studio, Playback(balls.scene))

    class Pipeline(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = Model()
            self.datamanager = SimpleNamespace(
                includes_time=True,
                train_dataset=dataset([0.0, 0.5, 1.0, 0.5]),
                eval_dataset=dataset([0.75]),
            )

    def dataset(times):
        poses = torch.eye(4)[None, :3].repeat(len(times), 1, 1)
        return SimpleNamespace(
            cameras=Cameras(poses, fx=80.0, fy=80.0, cx=48.0, cy=32.0, times=torch.tensor(times)[:, None])
        )

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    config = ViewerConfig(websocket_host="127.0.0.1", websocket_port=port)
    folder = tmp_path_factory.mktemp("viewer")
    viewer = Viewer(config, folder / "log" / "viewer.txt", folder, Pipeline(), train_lock=threading.Lock())
    yield viewer, balls
    viewer.viser_server.stop()


@pytest.fixture
def balls(served):
    return served[1]


@pytest.fixture
def viewer(served):
    """The viewer, with nothing selected, not listening and at time 0."""
    viewer, balls = served
    balls.__init__()
    panel = viewer.pipeline.model.segmentation_panel.panel
    panel.host.player.pause()
    if viewer.viser_server.scene._scene_pointer_cb is not None:
        viewer.viser_server.scene.remove_pointer_callback()
    panel.selecting._subtract._impl.value = False
    panel.selecting._similarity._impl.value = 0.0
    panel.studio.set_similarity(0.0)
    panel.studio.clear()
    viewer.control_panel.time = 0.0
    return viewer


@pytest.fixture
def panel(viewer):
    return viewer.pipeline.model.segmentation_panel.panel


def page(aspect=1.5, distance=2.0):
    """What the server knows of a page that looks along +z at the origin: viser's units are ten times the scene's."""
    camera = SimpleNamespace(wxyz=(1.0, 0, 0, 0), position=(0, 0, -10 * distance), fov=math.radians(45), aspect=aspect)
    return SimpleNamespace(camera=camera)


def click(viewer, x, y, client=None):
    """What viser calls when a page is clicked at fractions of its canvas."""
    from viser import ScenePointerEvent

    handler = viewer.viser_server.scene._scene_pointer_cb
    assert handler is not None, "the viewer does not listen for clicks"
    handler(ScenePointerEvent(client or page(), 0, "click", (0, 0, 0), (0, 0, 1), ((x, y),)))


def press(button):
    for callback in button._impl.update_cb:
        callback(None)


LEFT, RIGHT = (0.32, 0.5), (0.68, 0.5)


def test_nerfstudio_finds_the_panel_and_sets_it_up(viewer, panel):
    assert [control.panel for control in viewer.viewer_controls] == [panel]
    assert panel._status.content == "0 of 100 Gaussians selected (0 objects)"
    assert (panel.selecting._start.visible, panel.selecting._stop.visible) == (True, False)
    assert viewer.viser_server.scene._scene_pointer_cb is None


def test_clicks_count_only_between_start_and_stop(viewer, panel):
    press(panel.selecting._start)
    assert (panel.selecting._start.visible, panel.selecting._stop.visible) == (False, True)
    click(viewer, *LEFT)
    assert panel._status.content == "60 of 100 Gaussians selected (1 object)"
    click(viewer, *RIGHT)
    assert panel._status.content == "100 of 100 Gaussians selected (2 objects)"
    press(panel.selecting._stop)
    assert viewer.viser_server.scene._scene_pointer_cb is None
    assert (panel.selecting._start.visible, panel.selecting._stop.visible) == (True, False)


def test_another_tool_that_takes_the_clicks_ends_selecting(viewer, panel):
    press(panel.selecting._start)
    viewer.viser_server.scene.on_pointer_event("rect-select")(lambda event: None)
    assert (panel.selecting._start.visible, panel.selecting._stop.visible) == (True, False)


def test_the_time_slider_decides_what_is_under_a_click(viewer, panel):
    press(panel.selecting._start)
    viewer.control_panel.time = 1.0
    click(viewer, *LEFT)
    assert panel._status.content.startswith("40 of 100")


def test_subtract_and_clear(viewer, panel):
    press(panel.selecting._start)
    click(viewer, *LEFT)
    click(viewer, *RIGHT)
    panel.selecting._subtract.value = True
    click(viewer, *LEFT)
    assert panel._status.content == "40 of 100 Gaussians selected (1 object)"
    press(panel.selecting._clear)
    assert panel._status.content.startswith("0 of 100")


def test_the_slider_sets_the_threshold(viewer, panel):
    panel.selecting._similarity._impl.value = 0.7
    press(panel.selecting._similarity)
    assert panel.studio.similarity == 0.7


@pytest.mark.parametrize(("value", "kept"), [(float("nan"), 0.0), (7.0, 1.0)])
def test_a_slider_value_that_is_not_taken_does_not_stay(viewer, panel, value, kept):
    panel.selecting._similarity._impl.value = value
    press(panel.selecting._similarity)
    assert panel.studio.similarity == panel.selecting._similarity.value == kept


def test_the_first_click_shows_the_selection(viewer, panel):
    viewer.control_panel.update_output_options(["rgb", "depth", "segments", "selection"])
    assert viewer.control_panel.output_render == "rgb"
    press(panel.selecting._start)
    click(viewer, *LEFT)
    assert viewer.control_panel.output_render == "selection"
    viewer.control_panel._output_render.value = "rgb"
    click(viewer, *RIGHT)
    assert viewer.control_panel.output_render == "rgb"  # who looks at something else goes on doing so


def test_mistakes_become_text(viewer, panel, capsys):
    press(panel.selecting._start)
    click(viewer, *LEFT)
    click(viewer, 0.5, 0.02)
    assert panel._status.content.startswith("60 of 100 Gaussians selected (1 object)\n\n")
    click(viewer, float("nan"), 0.5)
    assert "outside the picture" in panel._status.content
    assert "Traceback" not in capsys.readouterr().err


def test_a_fault_becomes_text_and_leaves_the_lock_free(viewer, panel, balls, capsys):
    press(panel.selecting._start)
    del balls.means
    click(viewer, *LEFT)
    assert "AttributeError" in capsys.readouterr().err
    assert not viewer.train_lock.locked()


def test_training_that_changes_the_gaussians_is_told(viewer, panel, balls):
    press(panel.selecting._start)
    click(viewer, *LEFT)
    balls.densify(range(10, 100))
    panel.studio.refresh()
    assert panel._status.content.startswith("0 of 90 Gaussians selected")
    assert "edits were dropped" in panel._status.content


def test_a_page_opens_where_the_first_camera_stood(viewer, panel):
    client = page()
    client.atomic = nullcontext
    panel.host.place(client)
    placed = viewer.get_camera_state(client).c2w
    torch.testing.assert_close(placed[:, :3].float(), torch.eye(3))  # the camera's own orientation
    torch.testing.assert_close(placed[:2, 3], torch.zeros(2).double())
    assert -0.1 < placed[2, 3] < 0  # a little ahead, along -z


def test_play_steps_through_the_moments_of_all_pictures(viewer, panel):
    host = panel.host
    assert host.times == (0.0, 0.5, 0.75, 1.0)
    host.player.speed = 10.0
    for time in (0.5, 0.75, 1.0, 0.0):
        host.player.advance(0.1)
        assert viewer.control_panel.time == time


def test_a_page_that_comes_does_not_wait_for_the_lock(viewer, panel):
    client = page()
    client.atomic = nullcontext
    with panel.host.lock:
        for callback in viewer.viser_server._client_connect_cb:
            if callback != viewer.handle_new_client:
                callback(client)
    assert viewer.get_camera_state(client).c2w[2, 3] > -0.1


def test_look_goes_where_a_camera_stands(viewer, panel, camera):
    client = page()
    client.atomic = nullcontext
    panel.host.look(client, camera)
    seen = panel.host.camera(client)
    torch.testing.assert_close(seen.viewmat, camera.viewmat)


def state(viewer, **change):
    result = viewer.get_camera_state(page())
    for name, value in change.items():
        setattr(result, name, value)
    return result


@pytest.mark.parametrize(("aspect", "size"), [(1.5, (512, 341)), (1.0, (512, 512)), (0.5, (256, 512))])
def test_view_camera_sees_what_nerfstudio_renders(viewer, host_module, aspect, size):
    from nerfstudio.viewer.utils import get_camera

    camera_state = state(viewer, aspect=aspect, time=0.25)
    camera = host_module.view_camera(camera_state, 512)
    assert (camera.width, camera.height, camera.time) == (*size, 0.25)
    theirs = get_camera(camera_state, camera.height, camera.width)
    torch.testing.assert_close(camera.K, theirs.get_intrinsics_matrices()[0], atol=1e-3, rtol=0)
    torch.testing.assert_close(camera.position, theirs.camera_to_worlds[0, :, 3])
    torch.testing.assert_close(camera.viewmat[2, :3], -theirs.camera_to_worlds[0, :, 2])


def test_view_camera_refuses_a_fisheye(viewer, host_module):
    from nerfstudio.cameras.cameras import CameraType

    with pytest.raises(UserError, match="perspective"):
        host_module.view_camera(state(viewer, camera_type=CameraType.FISHEYE), 512)


def test_messages_are_shown_as_they_are():
    from trase_ns.viewer.text import breakable, plain

    assert plain("a <b> {c} *d* [e] &f") == r"a \<b\> \{c\} \*d\* \[e\] \&f"
    assert plain("/a/b c/ d") == "/a/b c/ d"
    assert breakable("/a/b <c/ d") == r"/<wbr/>a/<wbr/>b \<c/ d"  # a path may break


def test_smooth_playback_bakes_and_says_how_well(viewer, panel, balls):
    panel._smooth.value = True
    panel._set_smooth()
    assert "key times" in panel._status.content
    exact = balls.scene().at(0.3).means
    torch.testing.assert_close(panel.playback.at(0.3).means, exact, atol=1e-2, rtol=0)
    panel._smooth.value = False
    panel._set_smooth()
    assert "key times" not in panel._status.content
    assert torch.equal(panel.playback.at(0.3).means, exact)
