"""Feature maps of frames on disk: made by a network, one file a frame, whole or absent."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from trase_ns.capture import Frame, load_image
from trase_ns.console import track
from trase_ns.errors import UserError
from trase_ns.files import atomic_write, sha256
from trase_ns.learning.feature_extractors import Extractor, Model, load_extractor
from trase_ns.learning.feature_maps import read_key
from trase_ns.masks.frame_folder import STAGING, FrameFolder
from trase_ns.masks.preview import on_white


class MapStore(FrameFolder):
    """Feature maps in a folder, `<frame name>.safetensors` for each frame, as `FeatureMaps` reads them.

    A file holds `features` [h, w, C] float16, and in its header as `key` a JSON text that says from which image and
    with which network it was made.
    """

    suffix = ".safetensors"
    content = "feature maps"

    def save(self, frame: str, features: Tensor, key: dict[str, Any]) -> None:
        """Write a map at one stroke: after a kill the file is the old one or the new one.

        Args:
            frame: name of the frame.
            features: [h, w, C], of numbers that half precision can hold.
            key: what it was made from; anything that JSON can hold.

        Raises:
            UserError: the folder cannot be written or the disk is full.
        """
        from safetensors.torch import save

        content = save({"features": features.half().contiguous()}, {"key": json.dumps(key, sort_keys=True)})
        with atomic_write(self.path(frame), staging=self.directory / STAGING) as temporary:
            temporary.write_bytes(content)

    def key(self, frame: str) -> dict[str, Any] | None:
        """Return the key of a frame's map, None where it is missing, damaged, or made by others."""
        return read_key(self.path(frame))


def extract_maps(
    frames: Sequence[Frame],
    model: Model | Extractor,
    folder: Path,
    *,
    weights: str | Path | None = None,
    device: str = "cpu",
    download: bool = True,
    overwrite: bool = False,
) -> int:
    """Write the feature maps of frames, which `--dgd.maps` and `--uplift.maps` read; those that are done stay.

    A map is done when it was made from the same image by the same network with the same settings. Killed, it goes on
    where it was.

    Args:
        frames: the frames, of a run `run.datamanager.train_dataset.frames`.
        model: the network, or its name.
        folder: where to write them.
        weights, device, download: see `load_extractor`; for a name alone.
        overwrite: make all of them again.

    Returns:
        The number of maps that were made.

    Raises:
        UserError: weights cannot be had, an image cannot be read, or the folder cannot be written; maps that were
            made before that stay.
    """
    store = MapStore(folder)
    with store.writing():
        network = (
            model if isinstance(model, Extractor) else load_extractor(model, weights, device=device, download=download)
        )
        key = network.key
        todo = [f for f in frames if overwrite or store.key(f.name) != {**key, "image": sha256(f.image_path)}]
        for frame in track(todo, "feature maps"):
            features = network(on_white(load_image(frame)))
            if not features.isfinite().all():
                raise UserError(
                    f"the feature map of {frame.image_path} is not finite: the weights of the network may be damaged."
                )
            store.save(frame.name, features, {**key, "image": sha256(frame.image_path)})
    return len(todo)
