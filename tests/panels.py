"""The panel on a server of our own that shows the two balls, and a person before it; no browser.

What a person does goes through viser's own handlers of the messages that pages send.
"""

import functools
import math
import re
import time
from contextlib import nullcontext
from types import SimpleNamespace

import pytest
import torch
import viser._gui_api
import viser._gui_handles
from viser import ScenePointerEvent
from viser._messages import FileTransferPart, FileTransferStart, GuiUpdateMessage, TransformControlsUpdateMessage

from trase_ns.editing.session import SESSION, SessionFolder
from trase_ns.editing.studio import Studio
from trase_ns.scene.baked import bake
from trase_ns.scene.similarity import Similarity
from trase_ns.viewer.outputs import view_outputs
from trase_ns.viewer.panel import Panel, Place
from trase_ns.viewer.playback import Playback
from trase_ns.viewer.standalone import StandaloneHost

# viser unpacks an archive for every icon of every panel.
for module in (viser._gui_api, viser._gui_handles):
    module.svg_from_icon = functools.cache(module.svg_from_icon)

PATIENCE = 60.0  # seconds, on a machine that is busy with other things
LEFT, RIGHT, NOWHERE = (0.29, 0.5), (0.71, 0.5), (0.5, 0.06)  # of the canvas: red, blue and nothing at time 0
WORLD = Similarity(torch.eye(3), torch.tensor([1.0, 2.0, 3.0]), 0.5)  # from the data set's to the scene's


class Person:
    """Somebody with a page of 96 x 64 pixels that shows the scene as the camera of the balls does."""

    def __init__(self, panel):
        self.panel = panel
        self.downloads = []
        self.server = panel.host.server
        camera = SimpleNamespace(
            wxyz=(1.0, 0, 0, 0),
            position=panel.host.to_page((0, 0, -2.0)),
            look_at=panel.host.to_page((0, 0, 0.0)),
            fov=2 * math.atan(32 / 80),
            aspect=1.5,
        )
        self.client = SimpleNamespace(
            client_id=0,
            camera=camera,
            scene=SimpleNamespace(_scene_pointer_cb=None),
            atomic=nullcontext,
            send_file_download=lambda *file: self.downloads.append(file),
        )
        self.server._connected_clients[0] = self.client

    def set(self, element, value):
        """Change an element of the panel, or press one of a group of buttons."""
        self.server.gui._handle_gui_updates(0, GuiUpdateMessage(element._impl.id, {"value": value}))

    def press(self, button):
        self.set(button, True)

    def upload(self, button, name, content):
        """Choose a file of the person's computer."""
        gui, source = self.server.gui, button._impl.id
        gui._handle_file_transfer_start(0, FileTransferStart(source, "1", name, "*/*", 1, len(content)))
        gui._handle_file_transfer_part(0, FileTransferPart(source, "1", 0, content))

    def click(self, x, y):
        self._point("click", ((x, y),))

    def draw(self, left, top, right, bottom):
        """Draw a rectangle on the picture."""
        self._point("rect-select", ((left, top), (right, bottom)))

    def _point(self, kind, places):
        handler = self.server.scene._scene_pointer_cb
        assert handler is not None, "the panel does not listen for clicks"
        assert self.server.scene._scene_pointer_event_type == kind
        handler(ScenePointerEvent(self.client, 0, kind, (0, 0, 0), (0, 0, 1), places))

    def select(self, place=LEFT):
        """Click at a place of the picture to select what is there."""
        self.press(self.panel.selecting._start)
        self.click(*place)
        self.press(self.panel.selecting._stop)

    def drag(self, gizmo, shift, wxyz=(1.0, 0.0, 0.0, 0.0)):
        """Put a gizmo `shift` (in units of the scene) away from where it stands."""
        position = tuple(gizmo.position + self.panel.host.to_page(shift))
        self.server.scene._handle_transform_controls_updates(
            0, TransformControlsUpdateMessage(gizmo._impl.name, wxyz, position)
        )

    @property
    def told(self):
        """What the panel says, without places where long paths may break."""
        content = re.sub(r"(?<!\\)<wbr/>", "", self.panel._status.content)
        return re.sub(r"\\(.)", r"\1", content)

    def wait_until(self, condition, what):
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < deadline, f"{what}; the panel says: {self.told}"
            time.sleep(0.02)


@pytest.fixture
def scene(balls):
    """The two balls, with key times that files can hold."""
    return bake(balls.scene().detach(), 1e-3, 4).scene


@pytest.fixture
def run_folder(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    return folder


@pytest.fixture
def open_panel(scene, balls, camera, run_folder):
    """Return a function that starts a viewer of the scene, as `trase view` does, and gives its panel."""
    panels = []

    def start():
        folder = SessionFolder(run_folder / SESSION, lambda: scene)
        studio = Studio(lambda: scene, lambda: balls.segmentation, folder=folder)
        studio.restore()
        playback = Playback(studio.scene, studio.moments)

        def render(view):
            selected = studio.selection()
            return view_outputs(playback.at(view.time), view, torch.zeros(3), studio.segmentation(), selected)

        cameras = [camera.at(time) for time in (0.0, 0.5, 1.0)]
        host = StandaloneHost(render, cameras, (0, 0, 0), (0.0, 0.5, 1.0))
        panels.append(Panel(host, studio, playback, place=Place(run_folder, world=WORLD)))
        return panels[-1]

    yield start
    for panel in panels:
        panel.host.close()


@pytest.fixture
def panel(open_panel):
    return open_panel()


@pytest.fixture
def studio(panel):
    return panel.studio


@pytest.fixture
def person(panel):
    return Person(panel)
