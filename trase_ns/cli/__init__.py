"""The `trase` command: one small module for each subcommand, each with a typed function `main`."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module

from trase_ns.errors import UserError

COMMANDS = {
    "masks": "Make the masks of a data set with SAM, or import masks that you have.",
    "maps": "Make dense feature maps of a data set with DINOv2, CLIP or VGG16.",
    "frames": "Decode the videos of a data set with several cameras to pictures.",
    "features": "Give a trained run the features of any method, without training its geometry again.",
    "cluster": "Find the objects of a trained run anew, with other settings.",
    "segment": "Select what is under a click, in 4D, and save the selection.",
    "export": "Write the scene or a selection as 3DGS PLY, at a time or as a sequence.",
    "extract": "Write a derived run that holds only a selection; stock Nerfstudio tools work on it.",
    "render": "Render the scene, a selection or masks along a camera path, as a film, PNG files or COCO.",
    "edit": "Remove, recolour, move, retime, copy or restyle a selection, bring in other scenes; undo and redo.",
    "view": "Look at a run or a portable scene in a browser, and select and edit its objects.",
    "evaluate": "Score click selections against ground-truth masks.",
    "bench": "Compare methods on scenes: scores, costs, tables and pictures; resumable, on one machine or many.",
    "demo": "Make a scene with known answers, train on it, score it and write a report.",
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the subcommand that `arguments` (the command line by default) names.

    A UserError becomes one line on standard error and exit status 1, Ctrl-C becomes exit status 130; with TRASE_DEBUG=1
    in the environment both show their traceback.
    """
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    # Before torch is imported: threads that wait by spinning cost a busy machine far more than they gain an idle one.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    try:
        if arguments and arguments[0] in COMMANDS:
            _run(arguments[0], arguments[1:])
        else:
            _overview(arguments)
    except KeyboardInterrupt:
        if os.environ.get("TRASE_DEBUG") == "1":
            raise
        print("interrupted", file=sys.stderr)
        raise SystemExit(130) from None
    except UserError as error:
        if os.environ.get("TRASE_DEBUG") == "1":
            raise
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(1) from None


def _run(command: str, arguments: Sequence[str]) -> None:
    """Parse `arguments` for one subcommand and run it; no other subcommand is imported."""
    import warnings

    import tyro

    if os.environ.get("TRASE_DEBUG") != "1":
        # Other packages' notes to their own developers.
        warnings.filterwarnings("ignore", category=FutureWarning)
    module = import_module(f"trase_ns.cli.{command}")
    tyro.cli(module.main, prog=f"trase {command}", args=arguments, config=(tyro.conf.FlagCreatePairsOff,))


def _overview(arguments: Sequence[str]) -> None:
    """Answer a command line without a subcommand: help, or what was wrong with it."""
    from argparse import ArgumentParser

    from trase_ns import __version__

    parser = ArgumentParser("trase", description="Find, select and export the objects of a moving scene.")
    parser.add_argument("--version", action="version", version=f"trase_ns {__version__}")
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name, purpose in COMMANDS.items():
        subparsers.add_parser(name, help=purpose)
    parser.epilog = "`trase COMMAND --help` lists the options of a command."
    parser.parse_args(arguments or ["--help"])
