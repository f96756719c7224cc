"""The panel in Nerfstudio's own viewer, in `ns-viewer` and while `ns-train` runs."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import viser
import viser.transforms
from nerfstudio.cameras.cameras import CameraType
from nerfstudio.viewer.viewer import VISER_NERFSTUDIO_SCALE_RATIO, Viewer
from nerfstudio.viewer.viewer_elements import ViewerControl

from trase_ns.editing.session import SESSION, SessionFolder
from trase_ns.editing.studio import Studio
from trase_ns.errors import UserError
from trase_ns.scene.camera import Camera
from trase_ns.scene.similarity import Similarity
from trase_ns.viewer.host import Host, moment
from trase_ns.viewer.panel import Panel, Place
from trase_ns.viewer.playback import Playback
from trase_ns.viewer.player import Player, add_play_controls

if TYPE_CHECKING:
    from nerfstudio.viewer.utils import CameraState


class NerfstudioPanel(ViewerControl):
    """Brings the panel into Nerfstudio's viewer, which finds this as a public attribute of the model.

    Attributes:
        panel: the panel, once the viewer has started.

    Args:
        studio: the scene that the panel shows and changes.
        playback: what the viewer shows; None for one that cannot be baked.
        settled: whether the Gaussians stay as they are from now on.
    """

    panel: Panel

    def __init__(self, studio: Studio, playback: Playback | None = None, settled: Callable[[], bool] = lambda: True):
        self.studio = studio
        self.playback = playback
        self.settled = settled

    def _setup(self, viewer: Viewer) -> None:
        """Build the panel; Nerfstudio calls this when the viewer starts."""
        super()._setup(viewer)
        directory = viewer.log_filename.parent
        self.studio.folder = SessionFolder(directory / SESSION, self.studio.trained)
        if self.settled():
            self.studio.restore()
        host = NerfstudioHost(viewer)
        self.panel = Panel(host, self.studio, self.playback, self.settled, _place(viewer, directory))


class NerfstudioHost(Host):
    """Nerfstudio's viewer.

    Args:
        viewer: the viewer, with its pipeline.
    """

    scale = VISER_NERFSTUDIO_SCALE_RATIO

    def __init__(self, viewer: Viewer):
        self.viewer = viewer
        self.server = viewer.viser_server
        self.order = viewer.stats_markdown.order + 0.5  # between header and tabs
        self.times = _times(viewer)
        dataset = viewer.pipeline.datamanager.train_dataset
        look = getattr(dataset, "camera", None)
        count = 0 if dataset is None or look is None else len(dataset)
        self.cameras = tuple(look(index) for index in range(count)) if look is not None else ()
        self.player = Player(self.times, lambda: self.time, self._set_time)
        if len(self.times) > 1:  # Nerfstudio has a slider, and nothing that moves it
            with self.server.gui.add_folder("Play", order=self.order + 0.25, expand_by_default=False):
                add_play_controls(self.server.gui, self.player)
        self.server.on_client_connect(self.place)

    @property
    def lock(self) -> AbstractContextManager:
        """The viewer's train lock, under which it renders as well."""
        return self.viewer.train_lock or nullcontext()

    @property
    def time(self) -> float:
        """The viewer's time slider."""
        return moment(self.viewer.control_panel.time)

    @time.setter
    def time(self, value: float) -> None:
        self.viewer.control_panel.time = value

    def _set_time(self, value: float) -> None:
        self.time = value

    def camera(self, client: viser.ClientHandle) -> Camera:
        """Return what a page looks at now, or what the preview of a camera path shows.

        Raises:
            UserError: the view is not a perspective one.
        """
        state = self.viewer.get_camera_state(client)
        if self.viewer.include_time and not self.viewer.render_tab_state.preview_render:
            state.time = self.time  # as the viewer's render thread does
        return view_camera(state, self.viewer.control_panel.max_res)

    def rerender(self) -> None:
        """Let the viewer render for all pages."""
        self.viewer._trigger_rerender()

    def show_output(self, name: str) -> None:
        """Choose an output that the model has rendered."""
        output = self.viewer.control_panel._output_render.gui_handle  # Nerfstudio has no public way
        if output is not None and name in output.options and output.value != name:
            output.value = name

    def place(self, client: viser.ClientHandle) -> None:
        """Open a page where the first training camera stood: viser's own place may see nothing of the scene."""
        dataset = self.viewer.pipeline.datamanager.train_dataset
        assert dataset is not None
        c2w = dataset.cameras.camera_to_worlds[0].numpy(force=True)
        rotation = viser.transforms.SO3.from_matrix(c2w[:3, :3]) @ viser.transforms.SO3.from_x_radians(np.pi)
        ahead = 4 * self.viewer.config.camera_frustum_scale  # past the image that the viewer draws before each camera
        with client.atomic():
            client.camera.position = self.to_page(c2w[:3, 3]) + rotation @ np.array([0.0, 0.0, ahead])
            client.camera.wxyz = rotation.wxyz


def _place(viewer: Viewer, directory: Path) -> Place:
    """Where the run is, its background and the data set's world."""
    outputs = getattr(viewer.pipeline.datamanager, "train_dataparser_outputs", None)
    world = None
    if outputs is not None:
        world = Similarity.from_dataparser(outputs.dataparser_transform, outputs.dataparser_scale)
    background = getattr(viewer.pipeline.model, "background_color", None)
    color = (0.0, 0.0, 0.0) if background is None else tuple(background.flatten().tolist())
    return Place(directory, color, world)  # type: ignore[arg-type]


def _times(viewer: Viewer) -> tuple[float, ...]:
    """The moments that the cameras of the data set filmed."""
    manager = viewer.pipeline.datamanager
    found = {0.0}
    for dataset in (manager.train_dataset, manager.eval_dataset):
        if viewer.include_time and dataset is not None and dataset.cameras.times is not None:
            found |= set(dataset.cameras.times.flatten().tolist())
    return tuple(sorted(found))


def view_camera(state: CameraState, longest: int) -> Camera:
    """Return the camera of a page's view.

    Args:
        state: the view: OpenGL pose, vertical field of view in radians, aspect (width / height) and time.
        longest: pixels of the longer side of the picture.

    Raises:
        UserError: the view is not a perspective one.
    """
    if state.camera_type is not CameraType.PERSPECTIVE:
        raise UserError("clicks need a perspective view: end the preview or set its camera type to Perspective")
    height = max(1, round(longest / max(state.aspect, 1.0)))
    width = max(1, round(height * state.aspect))
    focal = height / 2 / math.tan(state.fov / 2)
    return Camera.from_opengl(state.c2w, focal, focal, width / 2, height / 2, width, height, state.time)
