"""How close a rendered picture is to the real one."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn


class ImageMetrics(nn.Module):
    """PSNR, SSIM and, where wanted and possible, LPIPS.

    Args:
        lpips: "on" measures LPIPS and downloads its weights if need be, "off" does not, "auto" measures it where the
            weights are on this machine already.
    """

    def __init__(self, lpips: Literal["auto", "on", "off"] = "auto"):
        super().__init__()
        self._lpips_wanted = lpips == "on" or (lpips == "auto" and _alexnet_is_here())
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
            from torchmetrics.image.lpip import LearnedPerceptualImagePatchSimilarity

            self._lpips.append(LearnedPerceptualImagePatchSimilarity(normalize=True).to(device))
        return self._lpips[0]


def _alexnet_is_here() -> bool:
    """Whether torchvision's AlexNet, which LPIPS looks through, is in torch's cache."""
    return any((Path(torch.hub.get_dir()) / "checkpoints").glob("alexnet-*.pth"))
