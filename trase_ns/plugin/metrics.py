"""How close a rendered picture is to the real one."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from trase_ns.errors import UserError
from trase_ns.weights import cache_folder


class ImageMetrics(nn.Module):
    """PSNR, SSIM and, where wanted and possible, LPIPS.

    Args:
        lpips: "on" measures LPIPS and downloads its weights if need be, "off" does not, "auto" measures it where the
            weights are on this machine already: those of AlexNet in torch's cache, or alexnet_features.safetensors
            (torchvision's names, the convolutions alone) in TRASE_ASSETS or in the cache of trase_ns.
    """

    def __init__(self, lpips: Literal["auto", "on", "off"] = "auto"):
        super().__init__()
        self._lpips_wanted = lpips == "on" or (lpips == "auto" and (_alexnet_is_here() or _alexnet_file() is not None))
        # Kept out of the module tree: its weights do not belong into checkpoints.
        self._lpips: list[nn.Module] = []

    @torch.no_grad()
    def forward(self, color: Tensor, target: Tensor) -> dict[str, float]:
        """Compare two pictures.

        Args:
            color: [H, W, 3] rendered picture in [0, 1].
            target: [H, W, 3] real picture in [0, 1].
        """
        from torchmetrics.functional.image import peak_signal_noise_ratio, structural_similarity_index_measure

        a, b = (picture.permute(2, 0, 1)[None].clamp(0, 1) for picture in (color, target))
        ssim = structural_similarity_index_measure(a, b, data_range=1.0)
        found = {"psnr": float(peak_signal_noise_ratio(a, b, data_range=1.0)), "ssim": float(ssim)}  # type: ignore
        if self._lpips_wanted:
            found["lpips"] = float(self._network(color.device)(a, b))
        return found

    def _network(self, device: torch.device) -> nn.Module:
        if not self._lpips:
            file = _alexnet_file()
            if file is None or _alexnet_is_here():
                from torchmetrics.image.lpip import LearnedPerceptualImagePatchSimilarity

                self._lpips.append(LearnedPerceptualImagePatchSimilarity(normalize=True).to(device))
            else:
                self._lpips.append(LpipsFromFile(file).to(device).eval())
        return self._lpips[0]


class LpipsFromFile(nn.Module):
    """torchmetrics' LPIPS with the convolutions of AlexNet from a file.

    Args:
        file: safetensors with torchvision's names, as features.0.weight.

    Raises:
        UserError: the file holds something else.
    """

    def __init__(self, file: Path):
        from safetensors.torch import load_file
        from torchmetrics.functional.image.lpips import _LPIPS

        super().__init__()
        self.network = _LPIPS(pretrained=True, net="alex", pnet_rand=True)
        try:
            state = {name.removeprefix("features."): value for name, value in load_file(file).items()}
            # torchmetrics cuts the layers into slices and leaves them their numbers.
            slices = {name.split(".", 1)[1]: name for name in self.network.net.state_dict()}
            self.network.net.load_state_dict({slices[name]: value for name, value in state.items()})
        except Exception as error:  # a broken file fails in as many ways as its format has
            raise UserError(
                f"{file} does not hold AlexNet's convolutions ({type(error).__name__}): replace it."
            ) from error

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """Return the distance of pictures [1, 3, H, W] in [0, 1]."""
        return self.network(2 * a - 1, 2 * b - 1).mean()


def _alexnet_is_here() -> bool:
    """Whether torchvision's AlexNet, which LPIPS looks through, is in torch's cache."""
    return any((Path(torch.hub.get_dir()) / "checkpoints").glob("alexnet-*.pth"))


def _alexnet_file() -> Path | None:
    """Return the file with AlexNet's convolutions, None where there is none."""
    folders = [*([Path(os.environ["TRASE_ASSETS"])] if os.environ.get("TRASE_ASSETS") else []), cache_folder()]
    files = [folder / "alexnet_features.safetensors" for folder in folders]
    return next((file for file in files if file.is_file()), None)
