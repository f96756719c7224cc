"""Text prompts: "red book" selects objects, by what detectors or CLIP see in rendered views."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from trase_ns.console import track
from trase_ns.errors import UserError
from trase_ns.learning.feature_space import FeatureSpace
from trase_ns.learning.uplift import uplift_masks
from trase_ns.masks import MaskSet
from trase_ns.masks.clip import relevancy
from trase_ns.scene.camera import Camera
from trase_ns.scene.gaussians import DynamicGaussians
from trase_ns.segmentation.clicks import Selection
from trase_ns.segmentation.objects import Segmentation
from trase_ns.segmentation.text_support import SHARE, TextSupport, measure_support, membership

ENGINES = ("grounding-dino", "owlv2", "clip", "features")
# Views that are looked at, of all that are given.
VIEWS = 12
# Longest text, in characters, that is handed to a network.
LONGEST = 300
# CLIP looks at each object in this many views, those that see most of it, where it has this many pixels.
CROPS = 3
SMALLEST = 64
# The extractor whose maps can be compared with words, as they call it.
CLIP_MAPS = "ClipDense"
# Crops reach this share of the object's size beyond it.
MARGIN = 0.15

Progress = Callable[[int, int], None]
"""Called with the views done and the number of views; what it raises ends the work."""


class Detector(Protocol):
    """Finds what a text names in a picture [H, W, 3] uint8: boxes [K, 4] (left, top, right, bottom) and scores [K]."""

    def __call__(self, picture: np.ndarray, text: str) -> tuple[np.ndarray, np.ndarray]: ...  # noqa: D102


class Segmenter(Protocol):
    """Turns boxes [K, 4] of a picture [H, W, 3] uint8 into masks [K, H, W] bool."""

    def __call__(self, picture: np.ndarray, boxes: np.ndarray) -> np.ndarray: ...  # noqa: D102


class Scorer(Protocol):
    """Compares K pictures with a text: [K] in [0, 1], 0.5 where the text fits no better than any other."""

    def __call__(self, pictures: Sequence[np.ndarray], text: str) -> np.ndarray: ...  # noqa: D102


@dataclass(frozen=True)
class BoxEngine:
    """A detector finds boxes in rendered views, a segmenter makes them masks, and the masks are lifted.

    Attributes:
        detector: what finds boxes.
        segmenter: what makes them masks.
    """

    detector: Detector
    segmenter: Segmenter

    def support(
        self,
        scene: DynamicGaussians,
        segmentation: Segmentation | None,
        cameras: Sequence[Camera],
        text: str,
        background: Tensor | None = None,
        progress: Progress | None = None,
    ) -> TextSupport:
        """Measure how well each object, or each Gaussian where there are none, fits a text.

        Args:
            scene: the scene.
            segmentation: its objects, or None.
            cameras: the views to look at, each at its time.
            text: a few words, such as "red book".
            background: [3] colour behind the Gaussians, black by default.
            progress: see `Progress`.

        Raises:
            UserError: no text, or too long a one; no camera.
        """
        text = _checked(text, cameras)
        views = []
        for number, camera in enumerate(track(cameras, f"looking for {text!r}")):
            picture = _picture(scene, camera, background)
            boxes, scores = self.detector(picture, text)
            masks = self.segmenter(picture, boxes)
            views.append((camera, MaskSet.from_dense(str(number), masks, scores)))
            if progress is not None:
                progress(number + 1, len(cameras))
        return measure_support(scene, segmentation, views, text)


@dataclass(frozen=True)
class CropEngine:
    """CLIP compares crops of the objects with the text.

    Attributes:
        scorer: what compares.
    """

    scorer: Scorer

    def support(
        self,
        scene: DynamicGaussians,
        segmentation: Segmentation | None,
        cameras: Sequence[Camera],
        text: str,
        background: Tensor | None = None,
        progress: Progress | None = None,
    ) -> TextSupport:
        """Measure how well each object fits a text; arguments and errors as for `BoxEngine.support`.

        Each object is cut from the pictures of the views that see most of it, with its surroundings and without.
        Support and agreement are by how much its mean score exceeds 0.5, as a share of what the best one does.

        Raises:
            UserError: there are no objects, moreover.
        """
        text = _checked(text, cameras)
        if segmentation is None or not len(segmentation):
            raise UserError("the engine clip compares objects, and this scene has none: find them, or use a detector.")
        chosen = _best_views(scene, segmentation, cameras)
        total, count = np.zeros(len(segmentation)), np.zeros(len(segmentation))
        for number, camera in enumerate(track(cameras, f"comparing with {text!r}")):
            owners, crops = _crops(scene, segmentation, camera, chosen[number].nonzero()[0].tolist(), background)
            if crops:
                np.add.at(total, owners, self.scorer(crops, text))
                np.add.at(count, owners, 1)
            if progress is not None:
                progress(number + 1, len(cameras))
        excess = (total / np.maximum(count, 1) - 0.5).clip(min=0)
        support = torch.from_numpy(excess / max(excess.max(), 1e-12)).float().to(scene.device)
        found = len(cameras) if excess.any() else 0
        return TextSupport(text, segmentation, support, support, found, len(cameras))


@dataclass(frozen=True)
class FeatureEngine:
    """The Gaussians' own features, made of CLIP's dense ones, are compared with the text: DGD, section 3.3.

    Attributes:
        encode: turns a text into directions [1 + n, C], its own and those of n texts that it must beat.
        space: where the features are.
    """

    encode: Callable[[str], Tensor]
    space: FeatureSpace

    def support(
        self,
        scene: DynamicGaussians,
        segmentation: Segmentation | None,
        cameras: Sequence[Camera],
        text: str,
        background: Tensor | None = None,
        progress: Progress | None = None,
    ) -> TextSupport:
        """Measure how well each object, or each Gaussian where there are none, fits a text; no view is rendered.

        DGD takes what is above a threshold on the cosine; with CLIP such cosines lie close together, and how high
        they are depends on the words. So here the text must beat others (LERF's relevancy), and support is by how
        much its relevancy exceeds 0.5, as a share of what the best object does, or of what the best thousandth of the
        Gaussians does. The relevancy of an object is the mean of its Gaussians'. Arguments and errors as for
        `BoxEngine.support`.

        Raises:
            UserError: the features are of another size than their space, moreover.
        """
        text = _checked(text, cameras)
        try:
            cosines = self.space.cosines(scene.features, self.encode(text))
        except ValueError as error:
            raise UserError(f"the features do not go with this network ({error}).") from error
        scores = relevancy(cosines)
        seen, best = scene.features.any(dim=1).to(scores), max(1, len(scores) // 1000)
        if segmentation is not None and len(segmentation):
            members, best = membership(segmentation), 1
            sums, seen = (torch.from_numpy(members @ v.cpu().numpy()).to(scores) for v in (scores * seen, seen))
            scores = sums / seen.clamp_min(1)
        else:
            segmentation = None
        excess = ((scores - 0.5) * (seen > 0)).clamp_min(0)
        top = excess.topk(best).values[-1] if len(excess) else excess.new_zeros(())
        support = (excess / top.clamp_min(1e-12)).clamp_max(1)
        if progress is not None:
            progress(len(cameras), len(cameras))
        found = len(cameras) if bool(excess.any()) else 0
        return TextSupport(text, segmentation, support, support, found, len(cameras))


Engine = BoxEngine | CropEngine | FeatureEngine


def load_engine(
    engine: str = "grounding-dino",
    checkpoint: Path | None = None,
    sam: str = "mobile",
    sam_checkpoint: Path | None = None,
    device: str | torch.device = "cpu",
    space: FeatureSpace | None = None,
) -> Engine:
    """Load the networks that text prompts need; keep the result for several texts.

    Args:
        engine: one of `ENGINES`.
        checkpoint: folder with the weights of the detector or of CLIP; by default they come from the cache of
            huggingface_hub, or are downloaded.
        sam: one of `masks.sam.MODELS`, which turns boxes into masks.
        sam_checkpoint: file with SAM's weights; by default the official ones.
        device: where to run them.
        space: what the features of the scene mean, for the engine "features".

    Raises:
        UserError: an unknown engine, a package that is missing, weights that cannot be had, or features that were not
            made of CLIP's dense ones.
    """
    if engine not in ENGINES:
        raise UserError(f"engine {engine!r}: there are {', '.join(ENGINES)}.")
    if engine == "features":
        return _feature_engine(space, checkpoint, str(device))
    if engine == "clip":
        from trase_ns.masks.clip import load_clip

        return CropEngine(load_clip(checkpoint, str(device)))
    from trase_ns.masks.boxes import load_box_segmenter
    from trase_ns.masks.detection import load_detector

    detector = load_detector(engine, checkpoint, str(device))
    return BoxEngine(detector, load_box_segmenter(sam, sam_checkpoint, str(device)))


def spread(cameras: Sequence[Camera], count: int = VIEWS) -> list[Camera]:
    """Return at most `count` cameras, evenly spread over their times and, at one time, over their order."""
    cameras = sorted(cameras, key=lambda camera: camera.time)
    picks = np.linspace(0, len(cameras) - 1, min(count, len(cameras))).round().astype(int)
    return [cameras[i] for i in picks]


def select_by_text(
    scene: DynamicGaussians,
    segmentation: Segmentation | None,
    cameras: Sequence[Camera],
    text: str,
    *,
    engine: str | Engine = "grounding-dino",
    checkpoint: Path | None = None,
    sam: str = "mobile",
    sam_checkpoint: Path | None = None,
    share: float = SHARE,
    views: int = VIEWS,
    background: Tensor | None = None,
    progress: Progress | None = None,
    space: FeatureSpace | None = None,
) -> Selection:
    """Select what a text names, in 4D.

    For a slider over the share take `load_engine(...).support(...)` once, and `TextSupport.select` for each share.

    Args:
        scene: the scene.
        segmentation: its objects, or None to select single Gaussians.
        cameras: views to look from, each at its time; `views` of them are rendered.
        text: a few words, such as "red book".
        engine: one of `ENGINES`, or a loaded one.
        checkpoint, sam, sam_checkpoint: see `load_engine`.
        share: least support of what is selected, in [0, 1].
        views: number of views to render.
        background: [3] colour behind the Gaussians, black by default.
        progress: see `Progress`.
        space: see `load_engine`.

    Raises:
        UserError: nothing was found, the text or an option is no good, or a package or weights are missing.
    """
    if views < 1:
        raise UserError(f"the number of views must be at least 1, but is {views}.")
    if not 0 <= share <= 1:
        raise UserError(f"the share of support must lie in [0, 1], but is {share}.")
    cameras = spread(cameras, views)
    _checked(text, cameras)
    if isinstance(engine, str):
        engine = load_engine(engine, checkpoint, sam, sam_checkpoint, scene.device, space)
    selection = engine.support(scene, segmentation, cameras, text, background, progress).select(share)
    if not len(selection):
        raise UserError(" ".join(selection.notes))
    return selection


def _feature_engine(space: FeatureSpace | None, checkpoint: Path | None, device: str) -> FeatureEngine:
    made = "make features of CLIP's maps first (trase maps --model clip, then trase features --method dgd or uplift)"
    if space is None:
        raise UserError(f"the engine features compares features that were made of CLIP's maps: {made}.")
    network = space.source.get("extractor", CLIP_MAPS)
    if network != CLIP_MAPS:
        raise UserError(f"the features of this scene were made of {network}, which knows no words: {made}.")
    from trase_ns.masks.clip import load_clip_texts
    from trase_ns.weights import fingerprint

    encode = load_clip_texts(checkpoint, device)
    if space.source.get("network", fingerprint(encode.model)) != fingerprint(encode.model):
        raise UserError(
            "the features of this scene were made with other weights of CLIP: name those with --text-checkpoint."
        )
    return FeatureEngine(encode, space)


def _checked(text: str, cameras: Sequence[Camera]) -> str:
    """The text on one line without blanks around it."""
    text = " ".join(text.split())
    if not any(letter.isalnum() for letter in text):
        raise UserError("a text prompt needs words, such as red book.")
    if len(text) > LONGEST:
        raise UserError(f"the text {text[:40]!r}... has {len(text)} characters: {LONGEST} are the most.")
    if not len(cameras):
        raise UserError("a text prompt needs at least one view to look from.")
    return text


@torch.no_grad()
def _picture(scene: DynamicGaussians, camera: Camera, background: Tensor | None) -> np.ndarray:
    """[H, W, 3] uint8 of what a camera sees at its time."""
    from trase_ns.render import render_view

    color = render_view(scene.at(camera.time), camera, background=background).color
    return (color.clamp(0, 1) * 255).round().byte().cpu().numpy()


def _best_views(scene: DynamicGaussians, segmentation: Segmentation, cameras: Sequence[Camera]) -> np.ndarray:
    """[F, O] bool, the views that see most of each object."""
    nothing = [(camera, MaskSet("", camera.height, camera.width, (), np.zeros(0))) for camera in cameras]
    visibility = uplift_masks(scene, nothing, budget=16 * len(cameras) * (len(scene) + 16)).visibility
    seen = (visibility @ membership(segmentation).T).toarray()
    rank = np.argsort(np.argsort(-seen, axis=0, kind="stable"), axis=0)
    return (rank < CROPS) & (seen >= SMALLEST)


@torch.no_grad()
def _crops(
    scene: DynamicGaussians,
    segmentation: Segmentation,
    camera: Camera,
    objects: list[int],
    background: Tensor | None,
) -> tuple[list[int], list[np.ndarray]]:
    """Cut objects from a view: two pictures of each, with its surroundings and alone on grey, and whose they are."""
    from trase_ns.render import contributions

    owners, crops = [], []
    if not objects:
        return owners, crops
    picture = _picture(scene, camera, background)
    weights = contributions(scene.at(camera.time), camera)
    for index in objects:
        made_up = weights.matmul(segmentation.members(index)[:, None].to(weights.weights))
        inside = (made_up.reshape(camera.height, camera.width) >= 0.5).cpu().numpy()
        ys, xs = inside.nonzero()
        if len(ys) < SMALLEST:
            continue
        dx, dy = (round(MARGIN * (np.ptp(axis) + 1)) for axis in (xs, ys))
        window = slice(max(0, ys.min() - dy), ys.max() + dy + 1), slice(max(0, xs.min() - dx), xs.max() + dx + 1)
        alone = np.where(inside[..., None], picture, np.uint8(128))
        owners += [index, index]
        crops += [picture[window], alone[window]]
    return owners, crops
