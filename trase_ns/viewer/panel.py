"""The segmentation panel of Nerfstudio's viewer: a thin view of the controller."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np
import viser
import viser.transforms
from nerfstudio.cameras.cameras import CameraType
from nerfstudio.viewer.viewer import VISER_NERFSTUDIO_SCALE_RATIO, Viewer
from nerfstudio.viewer.viewer_elements import ViewerControl

from trase_ns.console import console
from trase_ns.errors import UserError
from trase_ns.scene.camera import Camera
from trase_ns.viewer.controller import GRANULARITIES, SegmentationController
from trase_ns.viewer.playback import Playback

if TYPE_CHECKING:
    from nerfstudio.viewer.utils import CameraState


class SegmentationPanel(ViewerControl):
    """The folder "Segmentation" above the viewer's tabs.

    Nerfstudio finds it as a public attribute of the model and calls `_setup` when the viewer starts. Callbacks run
    under the viewer's train lock, as those of Nerfstudio's own elements do, and never raise: what goes wrong is said
    in the panel.

    Args:
        controller: the selection that the panel shows and changes.
        playback: what the viewer shows; None for one that cannot be baked.
    """

    def __init__(self, controller: SegmentationController, playback: Playback | None = None):
        self.controller = controller
        self.playback = playback

    def _setup(self, viewer: Viewer) -> None:
        """Build the folder in the viewer's page."""
        super()._setup(viewer)
        gui = self.viser_server.gui
        with gui.add_folder("Segmentation", order=viewer.stats_markdown.order + 0.5):  # between header and tabs
            self._start = gui.add_button(
                "Click to select", icon=viser.Icon.POINTER, hint="Select objects by clicks; drags do not turn the view"
            )
            self._stop = gui.add_button("Stop selecting", icon=viser.Icon.POINTER_OFF, color="orange", visible=False)
            self._subtract = gui.add_checkbox("Subtract", False, hint="A click takes away instead of adding")
            self._granularity = gui.add_dropdown(
                "Granularity", GRANULARITIES, hint="What a click means: the whole thing (coarse) or its part (fine)"
            )
            self._similarity = gui.add_slider(
                "Similarity",
                min=0.0,
                max=1.0,
                step=0.01,
                initial_value=self.controller.state.similarity,
                hint="Least similarity of a selected Gaussian to its object: higher drops the doubtful ones",
            )
            self._clear = gui.add_button("Clear selection", icon=viser.Icon.ERASER)
            self._smooth = gui.add_checkbox(
                "Smooth playback",
                False,
                visible=self.playback is not None,
                hint="Bake the motion to key times, so that a new time costs no deformation; takes some seconds once",
            )
            self._status = gui.add_markdown("")
        self._start.on_click(lambda _: self._attempt(self._listen))
        self._stop.on_click(lambda _: self._attempt(self.unregister_pointer_cb))
        self._similarity.on_update(lambda _: self._attempt(self._set_similarity))
        self._smooth.on_update(lambda _: self._attempt(self._set_smooth))
        self._clear.on_click(lambda _: self._attempt(self.controller.clear))
        self.controller.subscribe(self._show)
        self.viser_server.on_client_connect(lambda client: self._attempt(lambda: self._place(client)))
        self._show()

    def _place(self, client: viser.ClientHandle) -> None:
        """Open a page where the first training camera stood: viser's own place may see nothing of the scene."""
        dataset = self.viewer.pipeline.datamanager.train_dataset
        assert dataset is not None
        c2w = dataset.cameras.camera_to_worlds[0].numpy(force=True)
        rotation = viser.transforms.SO3.from_matrix(c2w[:3, :3]) @ viser.transforms.SO3.from_x_radians(np.pi)
        ahead = 4 * self.viewer.config.camera_frustum_scale  # past the image that the viewer draws before each camera
        with client.atomic():
            client.camera.position = c2w[:3, 3] * VISER_NERFSTUDIO_SCALE_RATIO + rotation @ np.array([0.0, 0.0, ahead])
            client.camera.wxyz = rotation.wxyz

    def _listen(self) -> None:
        """Take the viewer's clicks until "Stop selecting" or until another tool takes them.

        Not by `register_pointer_cb`, which does not tell whose click it is: two pages may look from two sides.
        """
        scene = self.viser_server.scene
        scene.on_pointer_event("click")(self._clicked)
        scene.on_pointer_callback_removed(lambda: self._show_listening(False))
        self._show_listening(True)

    def _show_listening(self, listening: bool) -> None:
        self._start.visible, self._stop.visible = not listening, listening

    def _clicked(self, event: viser.ScenePointerEvent) -> None:
        """Select what the page that was clicked shows there, as it looks now and not when the lock is free."""
        state = self.viewer.get_camera_state(event.client)
        if self.viewer.include_time and not self.viewer.render_tab_state.preview_render:
            state.time = self.viewer.control_panel.time  # as the viewer's render thread does
        canvas = event.client.camera.aspect
        self._attempt(lambda: self._select(state, event.screen_pos[0], canvas))

    def _select(self, state: CameraState, screen: tuple[float, float], canvas: float) -> None:
        camera = view_camera(state, self.viewer.control_panel.max_res)
        x, y = picture_position(screen, canvas, camera.width, camera.height)
        first = self.controller.selection() is None
        self.controller.click(camera, x, y, self._subtract.value, self._granularity.value)
        if first:
            self._switch_output("selection")

    def _set_similarity(self) -> None:
        """Take the slider's value; put the slider back where the controller does not take it."""
        controller = self.controller
        try:
            if self._similarity.value != controller.state.similarity:
                controller.set_similarity(self._similarity.value)
        finally:
            if self._similarity.value != controller.state.similarity:
                self._similarity.value = controller.state.similarity

    def _set_smooth(self) -> None:
        """Bake the scene, or show it as it is again; untick the box where there is nothing to bake."""
        assert self.playback is not None
        if not self._smooth.value:
            self.playback.drop()
            self._say("")
            return
        self._say("baking the motion ...")
        try:
            self._say(self.playback.bake())
        except UserError:
            self._smooth.value = False
            raise

    def _switch_output(self, name: str) -> None:
        """Show the output `name` in all pages, where the model has rendered it."""
        output = self.viewer.control_panel._output_render.gui_handle  # Nerfstudio has no public way
        if output is not None and name in output.options and output.value != name:
            output.value = name

    def _attempt(self, action: Callable[[], Any]) -> None:
        """Run `action` under the train lock and say in the panel what goes wrong."""
        try:
            with self.viewer.train_lock or nullcontext():
                action()
        except UserError as error:
            self._say(str(error))
        except Exception as error:
            console.print_exception()
            self._say(f"{type(error).__name__}: {error} (the terminal has the details)")

    def _show(self) -> None:
        """Show the state of the controller and render anew."""
        counts = self.controller.counts()
        objects = "1 object" if counts.objects == 1 else f"{counts.objects} objects"
        self._summary = f"{counts.gaussians:,} of {counts.total:,} Gaussians selected ({objects})"
        self._say(self.controller.state.message)
        self.viewer._trigger_rerender()

    def _say(self, message: str) -> None:
        """Show `message` below what is selected."""
        self._status.content = f"{self._summary}\n\n{plain(message)}".strip()


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


def picture_position(screen: tuple[float, float], aspect: float, width: int, height: int) -> tuple[float, float]:
    """Return where on the picture a page was clicked, in pixels; outside it on the bars beside the picture.

    Args:
        screen: position as fractions of the page's canvas, x right, y down.
        aspect: width / height of the canvas; the picture lies in its middle and fills it in one direction.
        width, height: size of the picture in pixels.
    """
    ratio = aspect / (width / height)
    x = 0.5 + (screen[0] - 0.5) * max(ratio, 1.0)
    y = 0.5 + (screen[1] - 0.5) * max(1.0 / ratio, 1.0)
    return x * width, y * height


def plain(text: str) -> str:
    """Return `text` with the characters escaped that the page would take for markup."""
    return re.sub(r"([\\`*_{}\[\]<>#|~$])", r"\\\1", text)
