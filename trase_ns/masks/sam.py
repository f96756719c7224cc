"""SAM's automatic mask generator, with SAM's own encoders or MobileSAM's."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from trase_ns.errors import UserError
from trase_ns.masks.mask_set import MaskSet

if TYPE_CHECKING:
    from segment_anything.modeling import Sam

MODELS = ("vit_h", "vit_l", "vit_b", "mobile")


@dataclass(frozen=True)
class SamSettings:
    """What the automatic mask generator is told; the defaults are those of SAM and of TRASE.

    Attributes:
        points_per_side: points of the grid of prompts on each side of the image.
        pred_iou_thresh: masks that SAM itself rates below this IoU are dropped.
        stability_score_thresh: masks that change more than this with the cutoff are dropped.
        min_mask_region_area: holes and islands below this area, in pixels, are removed.
        image_scale: the image is scaled by this factor first, and the masks have that size.
    """

    points_per_side: int = 32
    pred_iou_thresh: float = 0.88
    stability_score_thresh: float = 0.95
    min_mask_region_area: int = 100
    image_scale: float = 1.0

    def __post_init__(self):
        if not 1 <= self.points_per_side <= 256:
            raise UserError(f"--points-per-side must be 1 to 256, but is {self.points_per_side}.")
        for option in ("pred_iou_thresh", "stability_score_thresh"):
            if not 0.0 <= getattr(self, option) <= 1.0:
                raise UserError(f"--{option.replace('_', '-')} must lie in [0, 1], but is {getattr(self, option)}.")
        if self.min_mask_region_area < 0:
            raise UserError(f"--min-mask-region-area must be 0 or more, but is {self.min_mask_region_area}.")
        if not 0.0 < self.image_scale <= 1.0:
            raise UserError(f"--image-scale must lie in (0, 1], but is {self.image_scale}.")

    def key(self, model_hash: str) -> dict[str, Any]:
        """Return what masks depend on beside their image: the settings and the SHA-256 of the model's weights."""
        return {"generator": "sam", "model": model_hash, **asdict(self)}


class SamGenerator:
    """Finds the masks of an image.

    Args:
        model: the network, in evaluation mode, on the device to use.
        model_hash: SHA-256 of its weights; it becomes part of the key.
        settings: what the generator is told.
    """

    def __init__(self, model: Sam, model_hash: str, settings: SamSettings):
        from segment_anything import SamAutomaticMaskGenerator

        self.key = settings.key(model_hash)
        self._scale = settings.image_scale
        self._generator = SamAutomaticMaskGenerator(
            model,
            points_per_side=settings.points_per_side,
            # A CPU spends half of its time on memory for large batches; the masks are the same.
            points_per_batch=64 if model.device.type == "cuda" else 2,
            pred_iou_thresh=settings.pred_iou_thresh,
            stability_score_thresh=settings.stability_score_thresh,
            min_mask_region_area=settings.min_mask_region_area,
            output_mode="coco_rle",
        )

    def __call__(self, frame: str, image: np.ndarray) -> MaskSet:
        """Find the masks of a frame, the best first in SAM's order.

        Args:
            frame: name of the frame.
            image: [H, W, 3] uint8 sRGB.

        Returns:
            masks of the scaled image's size, with SAM's predicted IoU as scores.

        Raises:
            UserError: the GPU's memory does not suffice.
        """
        import torch

        if self._scale != 1.0:
            width, height = (max(1, round(side * self._scale)) for side in (image.shape[1], image.shape[0]))
            image = np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BOX))
        try:
            records = self._generator.generate(image)
        except torch.cuda.OutOfMemoryError as error:
            raise UserError(
                f"the GPU's memory does not suffice for frame {frame}: take a smaller model (--sam vit_b or mobile) "
                "or smaller images (--image-scale 0.5)."
            ) from error
        return MaskSet(
            frame,
            image.shape[0],
            image.shape[1],
            tuple(record["segmentation"]["counts"].encode("ascii") for record in records),
            np.array([record["predicted_iou"] for record in records], dtype=np.float32),
        )


def load_sam(name: str, checkpoint: Path, device: str) -> Sam:
    """Build a model and load its weights.

    Args:
        name: one of `MODELS`.
        checkpoint: its weights; tensors are read, nothing in the file is run.
        device: where to put it.

    Raises:
        UserError: the file is damaged or holds the weights of something else; segment-anything is missing.
    """
    try:
        import segment_anything  # noqa: F401
    except ImportError as error:
        raise UserError("segment-anything is missing: install it with `pip install segment-anything`.") from error
    state = _read_state(checkpoint)
    found = _model_of(state)
    if found != name:
        what = f"those of {found}: pass --sam {found}" if found else "those of no SAM model: download them again"
        raise UserError(f"the weights {checkpoint} are not those of {name}, but {what}, or another --checkpoint.")
    model = _build(name)
    try:
        model.load_state_dict(state, strict=True)
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()
        raise UserError(f"the weights {checkpoint} do not fit {name} ({reason}): download them again.") from error
    return model.eval().to(device)


def recognise(checkpoint: Path) -> str:
    """Return the model, one of `MODELS`, whose weights a file holds.

    Raises:
        UserError: the file is damaged or holds the weights of something else.
    """
    found = _model_of(_read_state(checkpoint))
    if found is None:
        raise UserError(f"the weights {checkpoint} are those of no SAM model: correct --checkpoint.")
    return found


def _read_state(checkpoint: Path) -> dict[str, Any]:
    import torch

    try:
        state = torch.load(checkpoint, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise UserError(f"the weights {checkpoint} do not exist: correct --checkpoint.") from error
    except Exception as error:  # zip, pickle and torch raise errors of many kinds for damaged files
        reason = (str(error) or type(error).__name__).splitlines()[0][:120]
        raise UserError(
            f"the weights {checkpoint} are no PyTorch checkpoint, or damaged ({reason}): "
            "download them again, or correct --checkpoint."
        ) from error
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise UserError(f"the weights {checkpoint} are no table of tensors: correct --checkpoint.")
    # MobileSAM's file still carries the classifier that its encoder was first trained with.
    unused = ("image_encoder.head.", "image_encoder.norm_head.")
    return {key: value for key, value in state.items() if not str(key).startswith(unused)}


def _model_of(state: dict[str, Any]) -> str | None:
    if "image_encoder.layers.1.blocks.0.attn.attention_biases" in state:
        return "mobile"
    positions = state.get("image_encoder.pos_embed")
    width = positions.shape[-1] if positions is not None and positions.ndim == 4 else 0
    return {1280: "vit_h", 1024: "vit_l", 768: "vit_b"}.get(width)


def _build(name: str) -> Sam:
    from segment_anything import sam_model_registry
    from segment_anything.modeling import MaskDecoder, PromptEncoder, Sam, TwoWayTransformer

    if name != "mobile":
        return sam_model_registry[name]()
    from trase_ns.masks.tiny_vit import TinyViT

    # MobileSAM keeps SAM's prompt encoder and mask decoder as they are.
    return Sam(
        image_encoder=TinyViT(1024),  # pyright: ignore[reportArgumentType]
        prompt_encoder=PromptEncoder(
            embed_dim=256, image_embedding_size=(64, 64), input_image_size=(1024, 1024), mask_in_chans=16
        ),
        mask_decoder=MaskDecoder(
            num_multimask_outputs=3,
            transformer=TwoWayTransformer(depth=2, embedding_dim=256, mlp_dim=2048, num_heads=8),
            transformer_dim=256,
            iou_head_depth=3,
            iou_head_hidden_dim=256,
        ),
    )
