"""2D segments of frames: mask sets, their store, imports and generators."""

from trase_ns.masks.mask_set import MaskSet
from trase_ns.masks.source import MaskSource, open_masks
from trase_ns.masks.store import MaskStore

__all__ = ["MaskSet", "MaskSource", "MaskStore", "open_masks"]
