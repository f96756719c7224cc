"""The panel in headless Chromium, on `ns-viewer --load-config` of a trained run."""

import re
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

# Chromium draws without a graphics card: a second try tells a busy machine from a fault.
pytestmark = [pytest.mark.slow, pytest.mark.flaky(reruns=1)]

PATIENCE = 120.0  # seconds, on a machine that is busy with other things


@pytest.fixture(scope="module")
def ns_viewer(tiny_run, tmp_path_factory):
    """Address of a viewer that serves the run."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [shutil.which("ns-viewer", path=Path(sys.executable).parent) or "ns-viewer"]
    command += ["--load-config", str(tiny_run)]
    command += ["--viewer.websocket-host", "127.0.0.1", "--viewer.websocket-port", str(port)]
    log = tmp_path_factory.mktemp("viewer") / "log.txt"
    with log.open("w") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
    try:
        deadline = time.monotonic() + PATIENCE
        while not _answers(port):
            assert process.poll() is None, f"ns-viewer ended:\n{log.read_text()[-3000:]}"
            assert time.monotonic() < deadline, f"ns-viewer does not answer:\n{log.read_text()[-3000:]}"
            time.sleep(0.2)
        yield f"http://127.0.0.1:{port}"
        assert process.poll() is None, f"ns-viewer died:\n{log.read_text()[-3000:]}"
        assert "Traceback" not in log.read_text(), f"ns-viewer lost a thread:\n{log.read_text()[-3000:]}"
    finally:
        process.kill()
        process.wait()


def _answers(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def page(open_viewer, ns_viewer):
    page = open_viewer(ns_viewer)
    page.button("Click to select").wait_for()
    page.wait_until(lambda: page.dropdown("Output type").input_value() != "not set", "nothing was rendered")
    return page


def status(page):
    """Number of Gaussians that the panel says are selected."""
    text = page.page.get_by_text(re.compile("Gaussians selected")).inner_text()
    return int(text.split(" of ")[0].replace(",", ""))


def object_pixel(segments):
    """A pixel (x, y) of the canvas in the middle of the largest evenly coloured patch, which is an object's."""
    from scipy import ndimage

    colourful = segments.max(-1) - segments.min(-1) > 0.2
    even = ndimage.generic_gradient_magnitude(segments, ndimage.prewitt, axes=(0, 1)).max(-1) < 0.1
    inside = np.zeros_like(even)
    inside[80:-80, 80:-80] = True  # not the viewer's axes in the corner
    depth = ndimage.distance_transform_edt(colourful & even & inside)
    assert depth.max() > 3, "no object is in view"
    y, x = np.unravel_index(depth.argmax(), depth.shape)
    return int(x), int(y)


def start_selecting(page):
    page.button("Click to select").click()
    page.wait_until(lambda: page.cursor() == "pointer", "the picture does not take clicks")


def test_browser_shows_panel_time_slider_and_outputs(page):
    for name in ("Click to select", "Clear selection"):
        assert page.button(name).is_visible()
    for label in ("Subtract", "Granularity", "Similarity", "Time"):
        assert page.text(label).is_visible()
    assert status(page) == 0
    page.picture()
    page.dropdown("Output type").click()
    names = page.page.get_by_role("option").locator("visible=true").all_inner_texts()
    assert {"rgb", "depth", "segments", "selection"} <= set(names)
    page.keep("open")


def test_browser_click_selects_and_clear_resets(page):
    page.button("Hide Train Cams").click()
    page.choose("Output type", "rgb")
    before = page.picture()
    page.choose("Output type", "segments")
    segments = page.picture_once(lambda p: np.abs(p - before).max() > 0.2, "the segments do not appear")
    x, y = object_pixel(segments)
    page.keep("segments")
    page.choose("Output type", "rgb")
    page.picture_once(lambda p: np.abs(p - before).mean() < 0.01, "the picture does not return")

    start_selecting(page)
    page.click_picture(x, y)
    page.wait_until(lambda: status(page) > 0, "the click selected nothing")
    page.wait_until(lambda: page.dropdown("Output type").input_value() == "selection", "the selection is not shown")
    here = np.s_[y - 2 : y + 3, x - 2 : x + 3]
    tinted = 0.55 * before[here].mean((0, 1)) + 0.45 * np.array([1.0, 0.55, 0.1])
    after = page.picture_once(lambda p: np.abs(p[here].mean((0, 1)) - tinted).max() < 0.1, "the object is not tinted")
    page.keep("selected")
    assert (after.mean(-1) < 0.6 * before.mean(-1))[before.mean(-1) > 0.1].mean() > 0.1, "nothing is dimmed"

    page.button("Clear selection").click()
    page.wait_until(lambda: status(page) == 0, "clear did not empty the selection")
    page.picture_once(lambda p: np.abs(p - before).mean() < 0.1 * np.abs(after - before).mean(), "the overlay stays")
    page.keep("cleared")

    page.button("Stop selecting").click()
    page.wait_until(lambda: page.cursor() != "pointer", "clicks are still taken")
    page.click_picture(x, y)
    page.page.wait_for_timeout(1000)
    assert status(page) == 0
    page.choose("Output type", "rgb")


def test_browser_time_moves_the_scene(page):
    page.set_number("Time", "0.0")
    start = page.picture()
    page.set_number("Time", "1")  # a short training moves things but a little
    page.picture_once(lambda p: np.abs(p - start).max() > 0.04, "nothing moves")
    page.keep("time")
    page.set_number("Time", "0")
    page.picture_once(lambda p: np.abs(p - start).mean() < 0.005, "time does not return")
