"""`trase view`: look at a scene in a browser."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from trase_ns.console import console

if TYPE_CHECKING:
    from torch import Tensor

    from trase_ns.editing.studio import Studio
    from trase_ns.plugin.opened import Opened
    from trase_ns.scene.camera import Camera
    from trase_ns.viewer.playback import Playback
    from trase_ns.viewer.standalone import StandaloneHost


def main(
    path: Annotated[Path, tyro.conf.Positional],
    host: str = "127.0.0.1",
    port: int = 7017,
) -> None:
    """Look at a scene in a browser, and select and edit its objects.

    A portable or a PLY file needs nothing else; a run is loaded with its data set. Ctrl-C ends it.

    Args:
        path: A run (its config.yml or folder), a portable scene (.safetensors) or a 3DGS file (.ply).
        host: Where to listen. The default lets only this machine in; 0.0.0.0 lets in whoever can reach it.
        port: Port to listen on; the next free one where it is taken.
    """
    import time

    from trase_ns.plugin.opened import open_scene

    shown = serve(open_scene(path), host, port)
    note = f" (port {port} is taken)" if shown.port != port else ""
    console.print(f"open {shown.url} in a browser{note}; Ctrl-C ends it", highlight=False, soft_wrap=True)
    try:
        while True:
            time.sleep(1.0)
    finally:
        shown.close()


def serve(opened: Opened, host: str, port: int) -> StandaloneHost:
    """Serve a scene with the panel, in threads of its own.

    Args:
        opened: the scene and what came with it.
        host, port: where to listen; the next free port where this one is taken.

    Raises:
        UserError: it cannot listen there.
    """
    from trase_ns.capture.orbit import looked_at
    from trase_ns.viewer.panel import Panel, Place
    from trase_ns.viewer.playback import Playback
    from trase_ns.viewer.standalone import StandaloneHost

    scene = opened.scene
    studio = opened.studio()
    playback = Playback(studio.scene, studio.moments)

    moving = scene.field is not None
    times = sorted({camera.time for camera in opened.cameras}) if moving else [0.0]
    centre = looked_at(opened.cameras, scene)
    render = renderer(opened, studio, playback)
    shown = StandaloneHost(render, opened.cameras, centre, times, host, port, f"trase: {opened.name}")
    color = tuple(opened.background.tolist())
    Panel(shown, studio, playback if moving else None, place=Place(opened.directory, color, opened.world))
    return shown


def renderer(opened: Opened, studio: Studio, playback: Playback) -> Callable[[Camera], dict[str, Tensor]]:
    """Return what makes the outputs of a view of an opened scene as it is edited; see `view_outputs`."""
    from trase_ns.viewer.outputs import view_outputs

    background, mode = opened.background.to(opened.scene.device), opened.rasterize_mode

    def render(camera: Camera) -> dict[str, Tensor]:
        gaussians, selected, segmentation = playback.at(camera.time), studio.selection(), studio.segmentation()
        return view_outputs(gaussians, camera, background, segmentation, selected, rasterize_mode=mode)

    return render
