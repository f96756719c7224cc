"""Fixtures and rules that all tests share."""

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent


def pytest_collection_modifyitems(items):
    """Skip tests marked `cuda` where there is no CUDA device."""
    if not any(item.get_closest_marker("cuda") for item in items):
        return
    import torch

    if not torch.cuda.is_available():
        skip = pytest.mark.skip(reason="no CUDA device")
        for item in items:
            if item.get_closest_marker("cuda"):
                item.add_marker(skip)


@pytest.fixture(scope="session")
def assets() -> Path:
    """Folder of real input: TRASE_ASSETS, else ../shared/assets beside the repository."""
    folder = Path(os.environ.get("TRASE_ASSETS", REPOSITORY.parent / "shared" / "assets"))
    if not folder.is_dir():
        pytest.skip("no real input: set TRASE_ASSETS to its folder")
    return folder
