"""Pages of viewers in headless Chromium."""

import io
import shutil
import time
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
            assert time.monotonic() < deadline, what
            self.page.wait_for_timeout(100)

    @property
    def canvas(self):
        """What shows the picture and takes the clicks; a second canvas lies over it."""
        return self.page.locator("canvas[data-engine]")

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
            assert time.monotonic() < deadline, what
        return shown

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

    def keep(self, name):
        """Keep a screenshot for people to look at."""
        folder = REPOSITORY / "test-artifacts" / "browser"
        folder.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=folder / f"{name}.png")
