"""Imports point only to the left in the order of the packages, and heavy packages stay where they belong."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent / "trase_ns"
ORDER = [
    "scene",
    "capture",
    "render",
    "masks",
    "learning",
    "segmentation",
    "editing",
    "evaluation",
    "synthetic",
    "viewer",
    "plugin",
    "bench",
    "cli",
]
MODULES = sorted(ROOT.rglob("*.py"))

# Packages that only some of ours may import, by the path below trase_ns.
ONLY_IN = {
    "nerfstudio": ("viewer/", "plugin/", "bench/", "cli/"),
    "viser": ("viewer/",),
    "gsplat": ("render/cuda", "plugin/densification.py"),
    "segment_anything": ("masks/",),
    "transformers": ("masks/",),
    "trimesh": ("synthetic/",),
    "ray": ("bench/spread.py",),
}
# Packages that are optional or slow to import: inside the function that needs them.
# Modules that exist for one such package and are themselves imported where it is needed.
ADAPTERS = {"masks/tiny_vit.py"}
LAZY = {
    "segment_anything",
    "transformers",
    "trimesh",
    "embreex",
    "pycocotools",
    "sklearn",
    "matplotlib",
    "plyfile",
    "open3d",
    "pooch",
    "gsply",
    "safetensors",
    "ray",
}


def imports(path):
    """(module, whether at the top level at run time) of every import in a file."""
    tree = ast.parse(path.read_text(encoding="utf8"))
    guarded = {
        child
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for child in ast.walk(node)
    }
    top = set(tree.body)
    for node in ast.walk(tree):
        if node in guarded:
            continue
        if isinstance(node, ast.Import):
            for name in node.names:
                yield name.name, node in top
        elif isinstance(node, ast.ImportFrom):
            yield node.module or "", node in top


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports(path):
    place = path.relative_to(ROOT).as_posix()
    package = place.split("/")[0]
    for module, at_top in imports(path):
        root = module.split(".")[0]
        if root == "trase_ns" and package in ORDER and module.count("."):
            other = module.split(".")[1]
            assert other not in ORDER or ORDER.index(other) <= ORDER.index(package), f"{place} imports {module}"
        if root in ONLY_IN:
            assert place.startswith(ONLY_IN[root]), f"{place} imports {module}"
        if root in LAZY and place not in ADAPTERS:
            assert not at_top, f"{place} imports {module} at its top"
        if package in ("bench", "cli"):
            assert not (at_top and root in {"torch", "nerfstudio"}), f"{place} imports {module} at its top"
