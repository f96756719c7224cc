"""The panel in headless Chromium, on `ns-viewer --load-config` of a trained run."""

import io
import re
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytestmark = pytest.mark.slow

REPOSITORY = Path(__file__).resolve().parents[2]
PATIENCE = 120_000  # ms, on a machine that is busy with other things
# WebGL without a graphics card
FLAGS = ["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]


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
        deadline = time.monotonic() + PATIENCE / 1000
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


@pytest.fixture(scope="module")
def browser():
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no chromium on this machine")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def page(browser, ns_viewer):
    page = browser.new_page(viewport={"width": 1000, "height": 1200})
    page.set_default_timeout(PATIENCE)
    page.goto(ns_viewer)
    button(page, "Click to select").wait_for()
    wait_until(page, lambda: output_type(page).input_value() != "not set", "nothing was rendered")
    yield page
    page.close()


def button(page, name):
    return page.get_by_role("button", name=name, exact=True)


def status(page):
    """Number of Gaussians that the panel says are selected."""
    text = page.get_by_text(re.compile("Gaussians selected")).inner_text()
    return int(text.split(" of ")[0].replace(",", ""))


def wait_until(page, condition, what):
    deadline = time.monotonic() + PATIENCE / 1000
    while not condition():
        assert time.monotonic() < deadline, what
        page.wait_for_timeout(100)


def output_type(page):
    """The dropdown "Output type" of the viewer."""
    return page.get_by_label("Output type", exact=True)


def choose_output(page, name):
    output_type(page).click()
    page.get_by_role("option", name=name, exact=True).locator("visible=true").click()
    page.mouse.move(5, 5)


def canvas(page):
    """What shows the picture and takes the clicks; a second canvas lies over it."""
    return page.locator("canvas[data-engine]")


def picture(page):
    """The upper left of the canvas, float [H, W, 3], once it has come to rest.

    Always of one size: the page makes the canvas some pixels wider or narrower when scroll bars come and go.
    """
    box = {**canvas(page).bounding_box(), "width": 640, "height": 1100}

    def shot():
        return np.asarray(Image.open(io.BytesIO(page.screenshot(clip=box))).convert("RGB"), dtype=np.float32) / 255

    before, still = shot(), 0
    deadline = time.monotonic() + PATIENCE / 1000
    while still < 5:  # the viewer draws coarse pictures first
        page.wait_for_timeout(300)
        after = shot()
        still = still + 1 if np.abs(after - before).max() < 0.02 else 0
        before = after
        assert time.monotonic() < deadline, "the picture does not come to rest"
    return before


def keep(page, name):
    """Keep a screenshot for people to look at."""
    folder = REPOSITORY / "test-artifacts" / "browser"
    folder.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=folder / f"{name}.png")


def picture_once(page, condition, what):
    """The picture as soon as it satisfies `condition`: new pictures come late on a busy machine."""
    deadline = time.monotonic() + PATIENCE / 1000
    while not condition(shown := picture(page)):
        assert time.monotonic() < deadline, what
    return shown


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


def click_picture(page, x, y):
    box = canvas(page).bounding_box()
    page.mouse.click(box["x"] + x, box["y"] + y)


def start_selecting(page):
    button(page, "Click to select").click()
    wait_until(page, lambda: cursor(page) == "pointer", "the picture does not take clicks")


def cursor(page):
    return canvas(page).evaluate("canvas => getComputedStyle(canvas).cursor")


def test_browser_shows_panel_time_slider_and_outputs(page):
    for name in ("Click to select", "Clear selection"):
        assert button(page, name).is_visible()
    for label in ("Subtract", "Granularity", "Similarity", "Time"):
        assert page.get_by_text(label, exact=True).is_visible()
    assert status(page) == 0
    picture(page)
    output_type(page).click()
    names = page.get_by_role("option").locator("visible=true").all_inner_texts()
    assert {"rgb", "depth", "segments", "selection"} <= set(names)
    keep(page, "open")


def test_browser_click_selects_and_clear_resets(page):
    button(page, "Hide Train Cams").click()
    choose_output(page, "rgb")
    before = picture(page)
    choose_output(page, "segments")
    segments = picture_once(page, lambda p: np.abs(p - before).max() > 0.2, "the segments do not appear")
    x, y = object_pixel(segments)
    keep(page, "segments")
    choose_output(page, "rgb")
    picture_once(page, lambda p: np.abs(p - before).mean() < 0.01, "the picture does not return")

    start_selecting(page)
    click_picture(page, x, y)
    wait_until(page, lambda: status(page) > 0, "the click selected nothing")
    wait_until(page, lambda: output_type(page).input_value() == "selection", "the selection is not shown")
    here = np.s_[y - 2 : y + 3, x - 2 : x + 3]
    tinted = 0.55 * before[here].mean((0, 1)) + 0.45 * np.array([1.0, 0.55, 0.1])
    after = picture_once(page, lambda p: np.abs(p[here].mean((0, 1)) - tinted).max() < 0.1, "the object is not tinted")
    keep(page, "selected")
    assert (after.mean(-1) < 0.6 * before.mean(-1))[before.mean(-1) > 0.1].mean() > 0.1, "nothing is dimmed"

    button(page, "Clear selection").click()
    wait_until(page, lambda: status(page) == 0, "clear did not empty the selection")
    picture_once(page, lambda p: np.abs(p - before).mean() < 0.1 * np.abs(after - before).mean(), "the overlay stays")
    keep(page, "cleared")

    button(page, "Stop selecting").click()
    wait_until(page, lambda: cursor(page) != "pointer", "clicks are still taken")
    click_picture(page, x, y)
    page.wait_for_timeout(1000)
    assert status(page) == 0
    choose_output(page, "rgb")


def test_browser_time_moves_the_scene(page):
    field = page.get_by_text("Time", exact=True).locator("xpath=../../..").locator("input").last

    def to(time):
        field.fill(time)
        field.press("Enter")

    to("0.0")
    start = picture(page)
    to("1")  # a short training moves things but a little
    picture_once(page, lambda p: np.abs(p - start).max() > 0.04, "nothing moves")
    keep(page, "time")
    to("0")
    picture_once(page, lambda p: np.abs(p - start).max() < 0.02, "time does not return")
