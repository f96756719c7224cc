"""Dense features of pictures by networks trained elsewhere: DINOv2, CLIP and VGG16."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, normalize

from trase_ns.errors import UserError
from trase_ns.learning.vgg import LAYERS, VGG16, load_vgg16
from trase_ns.masks.clip import CLIP
from trase_ns.masks.pretrained import Pretrained, is_cached, load_pretrained
from trase_ns.weights import cached, fingerprint

Model = Literal["dinov2", "clip", "vgg16"]
MODELS: tuple[Model, ...] = get_args(Model)

DINOV2 = (
    Pretrained("dinov2", "Dinov2Model", "BitImageProcessor", "facebook/dinov2-small"),
    Pretrained(
        "dinov2_with_registers",
        "Dinov2WithRegistersModel",
        "BitImageProcessor",
        "facebook/dinov2-with-registers-small",
    ),
)
# Convolutions of VGG16 whose features are put together: together they tell things apart better than each alone.
VGG_LAYERS = "conv3_3", "conv4_3", "conv5_3"


class Extractor(ABC):
    """A network that gives a picture a map of features.

    Attributes:
        network: the network.
        multiple: the sides of its input are multiples of this, in pixels; each such square gives one feature.
        longest: the longer side of its input, in pixels.
        enlarge: whether smaller pictures are enlarged to that.
    """

    multiple: int
    longest: int
    enlarge = False
    network: Any  # one of the classes below, or of another library

    def __init__(self, network: nn.Module, longest: int | None = None):
        self.network = network
        if longest is not None:
            self.longest, self.enlarge = longest, True
        if self.longest < self.multiple:
            raise UserError(f"--longest {longest}: the network needs at least {self.multiple} pixels.")

    @property
    def key(self) -> dict[str, Any]:
        """What the features depend on, besides the picture."""
        return {
            "extractor": type(self).__name__,
            "network": fingerprint(self.network),
            "longest": self.longest,
            "enlarge": self.enlarge,
        }

    def size(self, width: int, height: int) -> tuple[int, int]:
        """Return width and height of the network's input for a picture of this size, in pixels.

        The proportions change by less than half a square of `multiple` pixels.
        """
        scale = self.longest / max(width, height)
        scale = scale if self.enlarge else min(scale, 1.0)
        wide, high = (max(1, round(side * scale / self.multiple)) * self.multiple for side in (width, height))
        return wide, high

    @torch.no_grad()
    def __call__(self, picture: np.ndarray) -> Tensor:
        """Return the map of a picture, which it covers corner on corner.

        Every feature is scaled to a mean square of one: cosines are what is compared, and the learning rate of
        distillation suits numbers of this size.

        Args:
            picture: [H, W, 3] uint8 sRGB.

        Returns:
            [h, w, C] float32 on the CPU.
        """
        height, width = picture.shape[:2]
        resized = Image.fromarray(picture).resize(self.size(width, height), Image.Resampling.BICUBIC)
        values = torch.from_numpy(np.asarray(resized, np.float32) / 255).to(next(self.network.parameters()).device)
        features = self.features(values)
        return (normalize(features, dim=2) * features.shape[2] ** 0.5).float().cpu()

    @abstractmethod
    def features(self, picture: Tensor) -> Tensor:
        """Return [h, w, C] for a picture [h * multiple, w * multiple, 3] float32 sRGB in [0, 1]."""


class _Transformer(Extractor):
    """A vision transformer of the transformers library.

    Args:
        network: the network.
        image_processor: tells mean and deviation of the pictures that it was trained with.
        config: its configuration, that of the vision part.
        longest: see `Extractor`.
    """

    def __init__(self, network: nn.Module, image_processor: Any, config: Any, longest: int | None = None):
        self.multiple = config.patch_size
        super().__init__(network, longest)
        self._mean, self._deviation = (
            torch.tensor(values, device=next(network.parameters()).device)
            for values in (image_processor.image_mean, image_processor.image_std)
        )

    def features(self, picture: Tensor) -> Tensor:
        """See `Extractor.features`."""
        height, width = (side // self.multiple for side in picture.shape[:2])
        pixels = ((picture - self._mean) / self._deviation).permute(2, 0, 1)[None]
        return self._patches(pixels).view(height, width, -1)

    def _patches(self, pixels: Tensor) -> Tensor:
        """Features [h * w, C] of normalised pixels [1, 3, H, W]."""
        raise NotImplementedError


class Dinov2(_Transformer):
    """DINOv2 (Oquab et al. 2023): its patch tokens behind the last layer norm, with or without registers.

    Position embeddings are interpolated to the picture's proportions, as its authors do for other sizes than 518.
    """

    longest = 1036

    def _patches(self, pixels: Tensor) -> Tensor:
        others = 1 + getattr(self.network.config, "num_register_tokens", 0)  # the class token and the registers
        return self.network(pixel_values=pixels).last_hidden_state[0, others:]


class ClipDense(_Transformer):
    """CLIP's dense features, comparable with its texts: MaskCLIP (Zhou et al. 2022, section 3.2).

    The last attention is left out: each patch's own values go through the output projection, the last layer norm and
    the projection to the space that pictures and texts share. The residual and the last MLP are left out, too, which
    later work found to blur (ClearCLIP, Lan et al. 2024). Position embeddings are interpolated to the picture's
    proportions.
    """

    longest = 672

    def _patches(self, pixels: Tensor) -> Tensor:
        vision = self.network.vision_model
        outputs = vision(pixel_values=pixels, interpolate_pos_encoding=True, output_hidden_states=True)
        last = vision.encoder.layers[-1]
        patches = last.layer_norm1(outputs.hidden_states[-2][0, 1:])
        values = last.self_attn.out_proj(last.self_attn.v_proj(patches))
        return self.network.visual_projection(vision.post_layernorm(values))


class Vgg16Dense(Extractor):
    """VGG16's features behind several convolutions, at the resolution of the last.

    Each layer's feature has length one before they are put together, so that none drowns the others.

    Args:
        weights: see `load_vgg16`.
        layers: convolutions, of those in `LAYERS`.
        longest: see `Extractor`.
        device: where to run it.
        option: the option that names `weights`, for messages.
    """

    longest = 1024

    def __init__(
        self,
        weights: Path | None = None,
        layers: tuple[str, ...] = VGG_LAYERS,
        longest: int | None = None,
        device: str = "cpu",
        option: str = "--weights",
    ):
        unknown = [layer for layer in layers if layer not in LAYERS]
        if unknown or not layers:
            raise UserError(f"--layers {' '.join(unknown)}: VGG16 has the layers {', '.join(LAYERS)}.")
        self.layers = tuple(sorted(set(layers), key=LAYERS.index))
        self.multiple = 2 ** (int(self.layers[-1][4]) - 1)
        super().__init__(load_vgg16(self.layers[-1], weights, device, option), longest)

    @property
    def key(self) -> dict[str, Any]:
        """See `Extractor.key`."""
        return {**super().key, "layers": list(self.layers)}

    def features(self, picture: Tensor) -> Tensor:
        """See `Extractor.features`."""
        found = self.network.of_layers(picture, self.layers)
        size = found[-1].shape[:2]
        parts = (adaptive_avg_pool2d(normalize(part, dim=2).permute(2, 0, 1), size) for part in found)
        return torch.cat([normalize(part.permute(1, 2, 0), dim=2) for part in parts], dim=2)


def load_extractor(
    model: Model,
    weights: str | Path | None = None,
    *,
    longest: int | None = None,
    layers: tuple[str, ...] = VGG_LAYERS,
    device: str = "cpu",
    download: bool = True,
) -> Extractor:
    """Load a network that makes feature maps.

    Args:
        model: one of `MODELS`.
        weights: of dinov2 and clip a folder, or a name on huggingface.co; of vgg16 a file as torchvision has it. By
            default the smallest DINOv2, the CLIP that text prompts use, and torchvision's VGG16, from the caches.
        longest: scale pictures to this longer side, in pixels, for the network; by default they are only made
            smaller, where they are larger than is good for it.
        layers: of vgg16.
        device: where to run it.
        download: whether weights that are not on this machine may be downloaded.

    Raises:
        UserError: no such model, or weights that cannot be had or do not fit.
    """
    if model not in MODELS:
        raise UserError(f"model {model!r}: there are {', '.join(MODELS)}.")
    if model == "vgg16":
        if weights is None and not download and cached(VGG16) is None:
            raise UserError(
                f"the weights of vgg16 are not on this machine: add --download, or get {VGG16.url} by other means and "
                "pass it with --weights FILE."
            )
        return Vgg16Dense(None if weights is None else Path(weights), layers, longest, device)
    named = isinstance(weights, str) and re.fullmatch(r"[\w.-]+/[\w.-]+", weights) and not Path(weights).exists()
    checkpoint = weights if named or weights is None else Path(weights)
    kinds = DINOV2 if model == "dinov2" else CLIP
    network, processor = load_pretrained(kinds, checkpoint, device, "--weights", download)
    if model == "dinov2":
        return Dinov2(network, processor, network.config, longest)
    return ClipDense(network, processor.image_processor, network.config.vision_config, longest)


def available_models() -> list[Model]:
    """Return the models whose default weights are on this machine, so that nothing needs to be downloaded."""
    found = {"dinov2": is_cached(DINOV2[0]), "clip": is_cached(CLIP), "vgg16": cached(VGG16) is not None}
    return [model for model in MODELS if found[model]]
