"""Weights of the SAM models."""

from __future__ import annotations

from pathlib import Path

from trase_ns import weights
from trase_ns.weights import Weights

_OFFICIAL = "https://dl.fbaipublicfiles.com/segment_anything/"
WEIGHTS = {
    "vit_h": Weights(
        _OFFICIAL + "sam_vit_h_4b8939.pth", "a7bf3b02f3ebf1267aba913ff637d9a2d5c33d3173bb679e46d9f338c26f262e"
    ),
    "vit_l": Weights(
        _OFFICIAL + "sam_vit_l_0b3195.pth", "3adcc4315b642a4d2101128f611684e8734c41232a17c648ed1693702a49a622"
    ),
    "vit_b": Weights(
        _OFFICIAL + "sam_vit_b_01ec64.pth", "ec2df62732614e57411cdcf32a23ffdf28910380d03139ee0f4fcbe91eb8c912"
    ),
    "mobile": Weights(
        "https://github.com/ChaoningZhang/MobileSAM/raw/master/weights/mobile_sam.pt",
        "6dbb90523a35330fedd7f1d3dfc66f995213d81b29a5ca8108dbcdd4e37d6c2f",
    ),
}


def find_weights(model: str, checkpoint: Path | None = None) -> tuple[Path, str]:
    """Find the weights of a model; download the official ones where they are not in the cache.

    Args:
        model: a key of `WEIGHTS`.
        checkpoint: a file to take instead.

    Returns:
        the file, and its SHA-256 (that of the official file unless `checkpoint` is given).

    Raises:
        UserError: the file does not exist, or the download failed.
    """
    return weights.find(WEIGHTS[model], checkpoint)
