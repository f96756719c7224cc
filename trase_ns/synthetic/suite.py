"""The synthetic suite: scenes that stress one thing each, small enough to train each in minutes without a GPU."""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trase_ns.errors import UserError
from trase_ns.synthetic.dataset import make_scene

DEVELOPMENT_SEEDS = (0, 1, 2)  # methods may be tuned on these; they are judged on others
SIZE = {"width": 192, "height": 144}


@dataclass(frozen=True)
class SuiteScene:
    """A scene of the suite.

    Attributes:
        stress: what it stresses, in words.
        options: those of `make_scene` but directory and seed.
        preset: TRASE_PRESET of a training on it.
    """

    stress: str
    options: dict[str, Any]
    preset: str


def _scene(name: str, stress: str, frames: int = 40, held_out: int = 16, **options: Any) -> SuiteScene:
    preset = "rig" if options.get("cameras") == "relay" else "motion"
    return SuiteScene(stress, {"scene": name, "frames": frames, "held_out": held_out, **SIZE, **options}, preset)


SUITE: dict[str, SuiteScene] = {
    "fast": _scene("fast", "fast motion", frames=30, cameras="relay", rig=8),
    "occluded": _scene("occluded", "occlusion and reappearance"),
    "articulated": _scene("articulated", "articulated parts"),
    "touching": _scene("touching", "touching objects of like colour"),
    "thin": _scene("thin", "thin structures"),
    "late": _scene("late", "objects that enter late"),
    "bystander": _scene("bystander", "camera at rest, moving scene", cameras="rest"),
    "glimpses": _scene("glimpses", "moving camera, few views", frames=16, held_out=12),
}


def make_suite(directory: Path | str, seed: int, names: Sequence[str] | None = None, **options: Any) -> dict[str, Path]:
    """Write the data sets of the suite, each as `make_scene` does; those that are there already are used again.

    Args:
        directory: receives a folder for each scene, <name>-seed<seed>.
        seed: of all of them; the same seed gives the same bytes.
        names: of the scenes, keys of `SUITE`; all of them by default.
        options: of `make_scene`, instead of the suite's, for all of them.

    Returns:
        The folder of each scene by its name, in the order asked for.

    Raises:
        UserError: there is no scene of that name; a folder holds something else or cannot be written; the ray-casting
            library is not installed.
    """
    names = list(SUITE) if names is None else list(names)
    for name in names:
        if name not in SUITE:
            raise UserError(f"no scene of the suite is called {name!r}: choose from {', '.join(SUITE)}.")
    folders = {name: Path(directory) / f"{name}-seed{seed}" for name in names}
    return {name: make_scene(folder, seed, **{**SUITE[name].options, **options}) for name, folder in folders.items()}


def suite_scene_of(directory: Path | str) -> SuiteScene | None:
    """Return the scene of the suite that a data set holds; None where it holds something else."""
    try:
        parameters = json.loads((Path(directory) / "scene.json").read_text(encoding="utf-8"))["parameters"]
        known = SUITE.get(parameters["scene"])
        same = known is not None and parameters["cameras"] == known.options.get("cameras", "moving")
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return known if same else None


def fresh_seed() -> int:
    """Return a seed that is not for development, drawn anew at each call."""
    return DEVELOPMENT_SEEDS[-1] + 1 + secrets.randbelow(2**31)
