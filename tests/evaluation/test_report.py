import json
import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import pytest

from trase_ns.evaluation import pictures
from trase_ns.evaluation.report import Command, Fact, Moment, Panel, loss_curves, read_history, write_report

MEASURES = ("0.611", "0.123", "0.456", "0.622", "0.133", "0.466")
HISTORY = [
    {"step": step, "stage": "warm-up" if step < 50 else "features", "loss": 1 / (1 + step), "psnr": 20.0 + step}
    for step in range(0, 100, 10)
]


@pytest.fixture
def results(tmp_path):
    image = np.random.default_rng(0).integers(0, 255, (24, 32, 3), dtype=np.uint8)
    mask = np.zeros((24, 32), bool)
    mask[4:12, 5:20] = True
    objects = []
    for name, scores in {"ball <1>": [0.9, 0.4], "lamp": [0.8, 0.81]}.items():
        frames = []
        for i, score in enumerate(scores):
            picture = f"pictures/{name}/{i}.png"
            pictures.save(pictures.comparison(image, mask, np.roll(mask, i, 1)), tmp_path / picture)
            frames.append({"frame": f"test_{i}", "iou": score, "picture": picture})
        objects.append(
            {"name": name, "iou": np.mean(scores), "accuracy": 0.95, "gaussians": 1234, "notes": []}
            | {"boundary_iou": 0.611, "flicker": 0.123, "floaters": None if name == "lamp" else 0.456}
            | {"prompts": [{}], "frames": frames}
        )
    means = {"miou": 0.7275, "macc": 0.95, "mbiou": 0.622, "flicker": 0.133, "floaters": 0.466}
    return {**means, "objects": objects}


class Resources(HTMLParser):
    def __init__(self):
        super().__init__()
        self.sources, self.text = [], ""

    def handle_starttag(self, tag, attrs):
        self.sources += [value for key, value in attrs if key in ("src", "href", "srcset", "data", "action")]

    def handle_data(self, data):
        self.text += data


def test_the_page_holds_everything_and_needs_nothing(tmp_path, results):
    image = np.full((6, 8, 3), 200, np.uint8)
    write_report(
        tmp_path / "report.html",
        "Demo & more",
        results,
        tmp_path,
        facts=[Fact("mIoU", "0.728", "held out")],
        moments=[Moment("time 0.50", (Panel("picture", image), Panel("segments", image)))],
        history=HISTORY,
        commands=[Command("Open it", "ns-viewer --load-config 'a b/config.yml'")],
    )
    page = (tmp_path / "report.html").read_text()
    parser = Resources()
    parser.feed(page)
    assert len(parser.sources) == 2 + 2 + 1  # two panels, the worst frame of two objects, the curves
    assert all(source.startswith("data:image/") for source in parser.sources)
    assert "http" not in re.sub(r"data:[^\"]*", "", page)
    assert "url(" not in page
    assert "<script" not in page
    for text in ("Demo & more", "ball <1>", "0.728", "test_1", "IoU 0.400", "1,234", "ns-viewer", *MEASURES):
        assert text in parser.text
    assert "<1>" not in page  # names are escaped


def test_a_run_without_history_still_has_a_report(tmp_path, results):
    write_report(tmp_path / "report.html", "Plain", results, tmp_path)
    assert "image/svg" not in (tmp_path / "report.html").read_text()


def test_history_survives_a_kill_and_a_resume(tmp_path):
    path = tmp_path / "history.jsonl"
    assert read_history(path) == []
    lines = [json.dumps({"step": step, "loss": loss}) for step, loss in [(0, 3.0), (10, 2.0), (20, 9.0)]]
    lines += ['{"step": 30, "lo', "", json.dumps({"step": 20, "loss": 1.5}), "[]", "nonsense"]
    path.write_text("\n".join(lines))
    assert [(entry["step"], entry["loss"]) for entry in read_history(path)] == [(0, 3.0), (10, 2.0), (20, 1.5)]


def test_curves_are_an_svg_that_names_the_stages():
    svg = loss_curves([*HISTORY, {"step": 100, "stage": "features", "loss": float("nan"), "psnr": None}])
    root = ElementTree.fromstring(svg)
    assert root.tag.endswith("svg")
    comments = svg.decode()
    assert "warm-up" in comments
    assert "features" in comments
    paths = [e for e in root.iter() if e.tag.endswith("path")]
    assert len(paths) > 10
