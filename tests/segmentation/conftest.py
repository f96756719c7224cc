"""A world without pictures: Gaussians seen by frames, and masks of them as a segmenter would give."""

from dataclasses import dataclass, field

import numpy as np
import pytest
from scipy import sparse
from tiny_networks import tiny_networks  # noqa: F401 - fixture

from trase_ns.learning.uplift import MaskWeights


@dataclass
class World:
    """Frames that see Gaussians, and masks over them.

    `seen` and `masks` are lists of arrays [N] of the weights that a frame sees and that a mask covers.
    """

    gaussians: int
    seen: list[np.ndarray] = field(default_factory=list)
    masks: list[np.ndarray] = field(default_factory=list)
    frames: list[int] = field(default_factory=list)

    def add_frame(self, visible: np.ndarray, masks: list[np.ndarray]) -> None:
        """Add a frame that sees `visible` [N] of the Gaussians and has masks over shares [N] of what it sees."""
        for mask in masks:
            self.masks.append(mask * visible)
            self.frames.append(len(self.seen))
        self.seen.append(visible)

    def weights(self) -> MaskWeights:
        inside = np.array(self.masks, np.float32).reshape(len(self.masks), self.gaussians)
        seen = np.array(self.seen, np.float32).reshape(len(self.seen), self.gaussians)
        return MaskWeights(sparse.csr_matrix(inside), sparse.csr_matrix(seen), np.array(self.frames, np.int64))


class Tabletop:
    """Objects over 400 Gaussians: an arm 0-99 with its hand 60-99, a book 100-219, a cup 220-279; the rest is none.

    Each frame sees every Gaussian with a random weight, some not at all.
    """

    objects = {
        "arm": np.arange(0, 100),
        "hand": np.arange(60, 100),
        "book": np.arange(100, 220),
        "cup": np.arange(220, 280),
    }

    def __init__(self, seed: int = 0):
        self.generator = np.random.default_rng(seed)
        self.world = World(400)

    def share(self, *indices: np.ndarray, ragged: float = 0.0) -> np.ndarray:
        """Return the share [N] of each Gaussian inside a mask of `indices`, with a random fraction of it wrong."""
        inside = np.zeros(400, np.float32)
        for index in indices:
            inside[index] = 1
        wrong = self.generator.random(400) < ragged
        return np.where(wrong, 1 - inside, inside)

    def visible(self) -> np.ndarray:
        weight = self.generator.uniform(0.5, 3, 400)
        return np.where(self.generator.random(400) < 0.15, 0, weight).astype(np.float32)

    def add(self, *names: str, ragged: float = 0.0) -> None:
        """Add a frame with a mask for each name; "a+b" is one mask over both."""
        masks = [self.share(*(self.objects[n] for n in name.split("+")), ragged=ragged) for name in names]
        self.world.add_frame(self.visible(), masks)

    def weights(self) -> MaskWeights:
        return self.world.weights()


@pytest.fixture
def tabletop() -> Tabletop:
    return Tabletop()
