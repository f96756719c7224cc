"""A viewer of our own, for a scene without pipeline, data set or images: a viser server and one thread that renders."""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
import viser
import viser.transforms
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from trase_ns.console import console
from trase_ns.errors import UserError
from trase_ns.scene.camera import Camera
from trase_ns.viewer.host import Host, moment
from trase_ns.viewer.images import depth_buffer, to_image
from trase_ns.viewer.player import Player, add_play_controls
from trase_ns.viewer.ports import free_port
from trase_ns.viewer.text import breakable

PORT = 7017
LONGEST = 768
# What pages turn around is this far from them at the start, in viser's units: between its planes at 0.05 and 1000.
_DISTANCE = 10.0
# Seconds after which a page that was moved is at rest and gets its fine picture.
_REST = 0.2
# Seconds that a picture may take while a page moves; it is made as coarse as that needs.
_QUICK = 0.05
_COARSEST = 0.2


@dataclass
class _Page:
    """A page that is open, and what it waits for.

    Attributes:
        client: the page.
        wants: a coarse picture, a fine one, a fine one when it comes to rest, or none.
        changed: when it last changed what it wants.
        served: when it got its last picture.
    """

    client: viser.ClientHandle
    wants: Literal["coarse", "fine", "fine at rest", "none"] = "none"
    changed: float = -math.inf
    served: float = -math.inf


class StandaloneHost(Host):
    """Serves a scene to browsers.

    Every page looks from its own camera; time, output and resolution are the same for all. One thread renders for all
    pages, that which waits longest first: coarse pictures while camera or time move, a fine one at rest. What goes
    wrong in a rendering is said in the pages and in the terminal, and the next one is tried.

    Args:
        render: returns the outputs of a view, "rgb" [H, W, 3] in [0, 1] first and others like it; "depth" [H, W, 1]
            along the view and "accumulation" [H, W, 1], if among them, let the scene hide what stands behind it.
            Called under `lock`, in another thread.
        cameras: views of the scene, at least one; pages open at the first.
        centre: [3] point of the scene that pages turn around.
        times: its moments in [0, 1], ascending; one for a scene at rest.
        host, port: where to listen; the next free port where this one is taken.
        title: shown above the controls.

    Raises:
        UserError: it cannot listen there.
    """

    def __init__(
        self,
        render: Callable[[Camera], dict[str, Tensor]],
        cameras: Sequence[Camera],
        centre: ArrayLike,
        times: Sequence[float] = (0.0,),
        host: str = "127.0.0.1",
        port: int = PORT,
        title: str = "trase",
    ):
        self._render = render
        self.cameras = tuple(cameras)
        self._home = cameras[0].to("cpu")
        forward = self._home.viewmat[2, :3].double().numpy()
        ahead = float(forward @ (np.asarray(centre, dtype=np.float64) - self._home.position.double().numpy()))
        self.scale = _DISTANCE / (ahead if ahead > 0 else 1.0)
        self._up = _mean_up(cameras)
        self.times = tuple(times)
        self.order = 10.0
        self._render_lock = threading.Lock()
        self._pages: dict[int, _Page] = {}
        self._work = threading.Condition()
        self._closed = False
        self._coarseness = 0.5  # share of the resolution while something moves
        self._trouble = ""

        others = set(threading.enumerate())
        self.server = _start_server(host, free_port(host, port))
        self._server_threads = set(threading.enumerate()) - others
        self.port = self.server.get_port()
        self.player = Player(self.times, lambda: self.time, self._set_time)
        self._add_controls(title)
        self.server.on_client_connect(self._open)
        self.server.on_client_disconnect(self._leave)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop rendering and serving; pages lose their connection."""
        self.player.pause()
        with self._work:
            self._closed = True
            self._work.notify()
        self._thread.join()
        websockets = self.server._websock_server
        loop, listener = websockets._broadcast_buffer.event_loop, websockets._ws_server
        self.server.stop()

        async def end() -> None:
            if listener is not None:
                await listener.wait_closed()
            for task in asyncio.all_tasks() - {asyncio.current_task()}:
                task.cancel()

        # viser lets its thread run on, and a program that ends then may crash in it.
        asyncio.run_coroutine_threadsafe(end(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        for thread in self._server_threads:
            thread.join()

    @property
    def url(self) -> str:
        """Address for a browser on this machine."""
        host = self.server.get_host()
        return f"http://{'127.0.0.1' if host in ('0.0.0.0', '::') else host}:{self.port}"

    @property
    def lock(self) -> threading.Lock:
        """Held while a picture is made."""
        return self._render_lock

    @property
    def time(self) -> float:
        """The time slider."""
        return moment(self._time.value)

    @time.setter
    def time(self, value: float) -> None:
        self._time.value = float(value)  # its callback asks for new pictures

    def _set_time(self, value: float) -> None:
        self.time = value

    def camera(self, client: viser.ClientHandle) -> Camera:
        """Return what a page looks at now, at the resolution of the slider."""
        page, aspect = client.camera, client.camera.aspect
        aspect = min(max(aspect, 0.05), 20.0) if math.isfinite(aspect) else 1.0  # a page without area has none
        longest = min(max(int(self._resolution.value), 16), 4096)
        height = max(1, round(longest / max(aspect, 1.0)))
        width = max(1, round(height * aspect))
        focal = height / 2 / math.tan(page.fov / 2)
        viewmat = np.eye(4)
        viewmat[:3, :3] = viser.transforms.SO3(page.wxyz).as_matrix().T
        viewmat[:3, 3] = -viewmat[:3, :3] @ self.to_scene(page.position)
        # The page stretches the picture to its own shape, which is not a whole number of pixels.
        K = [[focal * width / (height * aspect), 0.0, width / 2], [0.0, focal, height / 2], [0.0, 0.0, 1.0]]
        return Camera(torch.tensor(viewmat, dtype=torch.float32), torch.tensor(K), width, height, self.time)

    def rerender(self) -> None:
        """Show new pictures in all pages: fine ones at once, coarse ones where changes follow each other quickly."""
        self._change(moving=False)

    def show_output(self, name: str) -> None:
        """Show the output `name` in all pages, if there is one of this name."""
        if name in self._output.options and self._output.value != name:
            self._output.value = name

    def place(self, client: viser.ClientHandle) -> None:
        """Let a page look from the first camera, as wide as that."""
        camera = self._home
        with client.atomic():
            client.camera.fov = 2 * math.atan(camera.height / 2 / float(camera.K[1, 1]))
            forward = camera.viewmat[2, :3].double().numpy()
            client.camera.up_direction = self._up  # what drags keep upright
            client.camera.look_at = client.camera.position + forward * _DISTANCE  # how far away it turns around
            self.look(client, camera)

    def _add_controls(self, title: str) -> None:
        gui = self.server.gui
        gui.configure_theme(control_layout="collapsible", dark_mode=True)
        gui.set_panel_label(title)
        self._message = gui.add_markdown("", order=0.0)
        with gui.add_folder("View", order=1.0):
            self._output: viser.GuiDropdownHandle[str] = gui.add_dropdown(
                "Output", ["rgb"], hint="What is shown of the scene"
            )
            self._resolution = gui.add_slider(
                "Resolution", min=128, max=2048, step=32, initial_value=LONGEST, hint="Pixels of the longer side"
            )
            home = gui.add_button("Reset view", icon=viser.Icon.HOME, hint="Look from where the page looked at first")
        with gui.add_folder("Play", order=2.0, visible=len(self.times) > 1):
            self._time = gui.add_slider("Time", min=0.0, max=1.0, step=0.001, initial_value=float(self.times[0]))
            add_play_controls(gui, self.player)
        home.on_click(lambda event: self.place(event.client) if event.client else None)
        self._output.on_update(lambda _: self.rerender())
        self._resolution.on_update(lambda _: self._change(moving=True))
        self._time.on_update(lambda _: self._change(moving=True))

    def _open(self, client: viser.ClientHandle) -> None:
        page = _Page(client)
        with self._work:
            self._pages[client.client_id] = page
        self.place(client)
        client.camera.on_update(lambda _: self._change(moving=True, pages=(page,)))

    def _leave(self, client: viser.ClientHandle) -> None:
        with self._work:
            self._pages.pop(client.client_id, None)

    def _change(self, moving: bool, pages: Sequence[_Page] | None = None) -> None:
        """Note that pages, by default all, need new pictures."""
        now = time.monotonic()
        with self._work:
            for page in self._pages.values() if pages is None else pages:
                page.wants = "coarse" if moving or now - page.changed < _REST else "fine"
                page.changed = now
            self._work.notify()

    def _next(self) -> tuple[_Page, bool] | None:
        """Wait for the next picture to make: for whom, and whether it is a coarse one; None at the end."""
        with self._work:
            while not self._closed:
                now = time.monotonic()
                patience = None
                for page in sorted(self._pages.values(), key=lambda page: page.served):
                    rest = page.changed + _REST - now if page.wants == "fine at rest" else 0.0
                    if page.wants == "none":
                        continue
                    if rest <= 0:
                        coarse = page.wants == "coarse"
                        page.wants = "fine at rest" if coarse and self._coarseness < 1 else "none"
                        page.served = now
                        return page, coarse
                    patience = rest if patience is None else min(patience, rest)
                self._work.wait(patience)
        return None

    def _serve(self) -> None:
        while (work := self._next()) is not None:
            try:
                self._show(*work)
                trouble = ""
            except UserError as error:
                trouble = str(error)
            except Exception as error:
                trouble = f"{type(error).__name__}: {error} (the terminal has the details)"
                if trouble != self._trouble:  # once, and not for every picture
                    console.print_exception()
            if trouble != self._trouble:
                self._trouble = trouble
                self._message.content = f"**No picture**: {breakable(trouble)}" if trouble else ""

    def _show(self, page: _Page, coarse: bool) -> None:
        """Make a picture and send it."""
        camera = self.camera(page.client)
        share = self._coarseness if coarse else 1.0
        start = time.monotonic()
        with self.lock:
            outputs = self._render(camera.scaled(share))
        self._offer(tuple(name for name in outputs if name != "background"))
        image = to_image(outputs[self._output.value])
        depth = depth_buffer(outputs, self.scale)
        seconds = time.monotonic() - start
        self._coarseness = min(max(share * math.sqrt(_QUICK / max(seconds, 1e-6)), _COARSEST), 1.0)
        page.client.scene.set_background_image(image, "jpeg", jpeg_quality=95 if share == 1 else 70, depth=depth)

    def _offer(self, names: tuple[str, ...]) -> None:
        """Let people choose among the outputs that there are."""
        if names != tuple(self._output.options):
            self._output.options = names


def _mean_up(cameras: Sequence[Camera]) -> NDArray[np.float64]:
    """What is up for the cameras together, [3] of length 1; for the first where they do not agree at all."""
    ups = -torch.stack([camera.viewmat[1, :3].cpu() for camera in cameras]).double().numpy()
    mean = ups.mean(axis=0)
    mean = mean if np.linalg.norm(mean) > 0.1 else ups[0]
    return mean / np.linalg.norm(mean)


def _start_server(host: str, port: int) -> viser.ViserServer:
    """Start viser, which stumbles over any program of the machine that ends while it starts."""
    import psutil  # viser's own

    while True:
        try:
            return viser.ViserServer(host, port, verbose=False)
        except psutil.NoSuchProcess:
            continue
