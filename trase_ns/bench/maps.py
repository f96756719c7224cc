"""The job that makes feature maps for the method that distils them, with a network that is on this machine."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trase_ns.errors import UserError

if TYPE_CHECKING:
    from trase_ns.learning.feature_extractors import Extractor

# Smaller pictures are enlarged to this for the network, whose maps are many times coarser than its input.
LONGEST = 512
ASSETS = "vgg16_features.safetensors"


def make_maps(config: str, output_dir: str, model: str | None = None, weights: str | None = None) -> dict[str, Any]:
    """Make the maps of a run's training frames.

    Args:
        config: config.yml of the run.
        output_dir: folder for the maps.
        model: see `load_extractor`; by default the first of DINOv2, CLIP and VGG16 whose weights are on this machine.
        weights: of the model.

    Returns:
        "model", and "maps_bytes" on disk.

    Raises:
        UserError: no network is on this machine, or its weights cannot be read.
    """
    from trase_ns.learning.map_store import MapStore, extract_maps
    from trase_ns.plugin.run import load_run

    if model is None:
        model, weights = choose_model()
    run = load_run(Path(config))
    frames = list(run.datamanager.train_dataset.frames)
    small = max(max(frame.width, frame.height) for frame in frames) < LONGEST
    extract_maps(frames, _extractor(model, weights, LONGEST if small else None), Path(output_dir))
    size = sum(MapStore(Path(output_dir)).path(frame.name).stat().st_size for frame in frames)
    return {"model": model, "maps_bytes": size}


def choose_model() -> tuple[str, str | None]:
    """Return the name of a model whose weights are on this machine, and where they are if not in a cache.

    Raises:
        UserError: there is none.
    """
    from trase_ns.learning.feature_extractors import available_models

    found = available_models()
    if found:
        return found[0], None
    file = Path(os.environ.get("TRASE_ASSETS", "")) / ASSETS
    if "TRASE_ASSETS" in os.environ and file.is_file():
        return "vgg16", str(file)
    raise UserError(
        "it needs feature maps, and the weights of neither dinov2, clip nor vgg16 are on this machine. Get them once "
        "with `trase maps --model dinov2 --download`, name a file with --dgd-model vgg16 --dgd-weights FILE, or name "
        "maps that you have with --dgd-maps DIR."
    )


def _extractor(model: str, weights: str | None, longest: int | None) -> Extractor:
    import torch

    from trase_ns.learning.feature_extractors import load_extractor

    device = "cuda" if torch.cuda.is_available() else "cpu"
    return load_extractor(model, weights, longest=longest, device=device, download=False)  # type: ignore[arg-type]
