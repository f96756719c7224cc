"""Pages of viewers in headless Chromium."""

import io
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

REPOSITORY = Path(__file__).resolve().parents[2]
PATIENCE = 120_000  # ms, on a machine that is busy with other things
# WebGL without a graphics card
FLAGS = ["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]


@pytest.fixture(scope="session")
def browser():
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no chromium on this machine")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def hand_books_run(assets, command, tiny_training, tmp_path_factory):
    """Folder of a short training on the real video, at a quarter of its resolution."""
    output = tmp_path_factory.mktemp("hand_books")
    small = "--pipeline.datamanager.dataparser.downscale-factor=4"
    data = ("--data", assets / "hand_books", "--output-dir", output, "--timestamp", "run")
    command("ns-train", "trase", *data, small, *tiny_training)
    return output / "hand_books" / "trase" / "run"


@pytest.fixture(scope="session")
def serve(tmp_path_factory):
    """Return a context manager that starts a viewer and gives its address; in the end it must run and have no faults.

    It takes the words of the command, "PORT" among them for a port that is free.
    """

    @contextmanager
    def start(*words):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        program = shutil.which(words[0], path=Path(sys.executable).parent) or words[0]
        command = [program, *(str(port) if word == "PORT" else str(word) for word in words[1:])]
        log = tmp_path_factory.mktemp("viewer") / "log.txt"
        with log.open("w") as output:
            # Tests that run in the background hand down that interrupts are ignored.
            heed = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
            process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, preexec_fn=heed)
        try:
            deadline = time.monotonic() + 2 * PATIENCE / 1000
            while not _answers(port):
                assert process.poll() is None, f"it ended:\n{log.read_text()[-3000:]}"
                assert time.monotonic() < deadline, f"it does not answer:\n{log.read_text()[-3000:]}"
                time.sleep(0.2)
            yield f"http://127.0.0.1:{port}"
            assert process.poll() is None, f"it died:\n{log.read_text()[-3000:]}"
            assert "Traceback" not in log.read_text(), f"it had a fault:\n{log.read_text()[-3000:]}"
            process.send_signal(signal.SIGINT)
            process.wait(PATIENCE / 1000)
        finally:
            process.kill()
            process.wait()

    return start


def _answers(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def open_viewer(browser):
    """Return a function that opens the page of a viewer, of a given size, and gives a `ViewerPage`."""
    pages = []

    def open_page(url, width=1000, height=1200):
        page = browser.new_page(viewport={"width": width, "height": height})
        page.set_default_timeout(PATIENCE)
        pages.append(page)
        page.goto(url)
        return ViewerPage(page)

    yield open_page
    for page in pages:
        page.close()


class ViewerPage:
    """A page of a viewer, as someone sees and uses it."""

    def __init__(self, page):
        self.page = page

    def button(self, name):
        return self.page.get_by_role("button", name=name, exact=True)

    def text(self, words):
        """The first of these words that is to be seen."""
        return self.page.get_by_text(words, exact=True).locator("visible=true").first

    def dropdown(self, label):
        return self.page.get_by_label(label, exact=True)

    def choose(self, label, name):
        """Choose an entry of a dropdown."""
        self.dropdown(label).click()
        self.page.get_by_role("option", name=name, exact=True).locator("visible=true").click()
        self.page.mouse.move(5, 5)

    def number(self, label):
        """The box with the number beside a slider."""
        return self.text(label).locator("xpath=ancestor::*[.//input][1]").locator("input").last

    def set_number(self, label, value):
        box = self.number(label)
        box.fill(str(value))
        box.press("Enter")

    def wait_until(self, condition, what):
        deadline = time.monotonic() + PATIENCE / 1000
        while not condition():
            if time.monotonic() > deadline:
                self.keep("failed")
                raise AssertionError(what)
            self.page.wait_for_timeout(100)

    @property
    def canvas(self):
        """What shows the picture and takes the clicks; a second canvas lies over it."""
        return self.page.locator("canvas[data-engine]")

    def tab(self, name):
        self.page.get_by_role("tab", name=name).click()

    def counts(self):
        """Numbers of Gaussians that the panel says are selected, and shown."""
        text = self.page.get_by_text(re.compile("Gaussians selected")).inner_text()
        selected, shown = re.findall(r"[\d,]+", text)[:2]
        return int(selected.replace(",", "")), int(shown.replace(",", ""))

    def start_selecting(self):
        self.button("Click to select").click()
        self.wait_until(lambda: self.cursor() == "pointer", "the picture does not take clicks")

    def cursor(self):
        return self.canvas.evaluate("canvas => getComputedStyle(canvas).cursor")

    def shot(self, width=640, height=1100):
        """The upper left of the canvas as it is now, float [H, W, 3].

        Always of one size: the page makes the canvas some pixels wider or narrower when scroll bars come and go.
        """
        box = {**self.canvas.bounding_box(), "width": width, "height": height}
        return np.asarray(Image.open(io.BytesIO(self.page.screenshot(clip=box))).convert("RGB"), np.float32) / 255

    def picture(self, width=640, height=1100):
        """The same once it has come to rest: viewers draw coarse pictures first."""
        before, still = self.shot(width, height), 0
        deadline = time.monotonic() + PATIENCE / 1000
        while still < 5:
            self.page.wait_for_timeout(300)
            after = self.shot(width, height)
            still = still + 1 if np.abs(after - before).max() < 0.02 else 0
            before = after
            assert time.monotonic() < deadline, "the picture does not come to rest"
        return before

    def picture_once(self, condition, what, **size):
        """The picture as soon as it satisfies `condition`: new pictures come late on a busy machine."""
        deadline = time.monotonic() + PATIENCE / 1000
        while not condition(shown := self.picture(**size)):
            if time.monotonic() > deadline:
                self.keep("failed")
                raise AssertionError(what)
        return shown

    @staticmethod
    def patches(segments, largest=1.0):
        """Pixels (x, y) in the middle of evenly coloured patches of a picture of all objects, the largest patch first.

        Args:
            segments: float [H, W, 3].
            largest: leave out patches of more than this share of the picture, such as the ground.
        """
        from scipy import ndimage

        colourful = segments.max(-1) - segments.min(-1) > 0.2
        even = ndimage.generic_gradient_magnitude(segments, ndimage.prewitt, axes=(0, 1)).max(-1) < 0.1
        inside = np.zeros_like(even)
        inside[20:-20, 20:-20] = True
        inside[-100:, :100] = False  # the viewer's axes
        depth = ndimage.distance_transform_edt(colourful & even & inside)
        labels, count = ndimage.label(depth > 3)
        sizes = ndimage.sum_labels(depth > 3, labels, range(1, count + 1))
        found = []
        for number in np.argsort(-sizes):
            if sizes[number] <= largest * labels.size:
                y, x = np.unravel_index(np.where(labels == number + 1, depth, 0).argmax(), depth.shape)
                found.append((int(x), int(y)))
        assert found, "no object is in view"
        return found

    def click_picture(self, x, y):
        box = self.canvas.bounding_box()
        self.page.mouse.click(box["x"] + x, box["y"] + y)

    def drag_picture(self, x, y, right, down):
        """Drag with the left button, which turns the view."""
        box = self.canvas.bounding_box()
        self.page.mouse.move(box["x"] + x, box["y"] + y)
        self.page.mouse.down()
        self.page.mouse.move(box["x"] + x + right, box["y"] + y + down, steps=8)
        self.page.mouse.up()
        self.page.mouse.move(5, 5)

    def drag_to(self, start, end):
        """Drag from one place of the canvas to another, slowly."""
        box = self.canvas.bounding_box()
        self.page.mouse.move(box["x"] + float(start[0]), box["y"] + float(start[1]))
        self.page.wait_for_timeout(500)
        self.page.mouse.down()
        self.page.mouse.move(box["x"] + float(end[0]), box["y"] + float(end[1]), steps=12)
        self.page.wait_for_timeout(500)
        self.page.mouse.up()

    def keep(self, name):
        """Keep a screenshot for people to look at."""
        folder = REPOSITORY / "test-artifacts" / "browser"
        folder.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=folder / f"{name}.png")
