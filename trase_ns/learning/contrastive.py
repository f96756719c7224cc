"""TRASE's soft-mined contrastive objective between the pixels of a frame (section 3.2, equations 3 to 9)."""

# numba gives kernels other signatures than the functions they are made from:
# pyright: reportCallIssue=false

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

Mining = Literal["soft", "hard", "none"]
SharedOnlyLarge = Literal["positive", "ignore", "negative"]
Normalisation = Literal["pairs", "mined"]

POSITIVE_THRESHOLD = 0.75
NEGATIVE_THRESHOLD = 0.5
LARGEST_WEIGHT = 10.0
# Entries of the P x P matrices that are held at a time: a cache's worth on a CPU, enough to fill a GPU.
_BLOCK = {"cpu": 1 << 18, "cuda": 1 << 25}


def trase_loss(
    rendered: Tensor,
    mask_vectors: Tensor,
    mask_sizes: Tensor,
    *,
    paired: Tensor | None = None,
    positive_threshold: float = POSITIVE_THRESHOLD,
    negative_threshold: float = NEGATIVE_THRESHOLD,
    mining: Mining = "soft",
    shared_only_large: SharedOnlyLarge = "positive",
    normalisation: Normalisation = "pairs",
    norm_weight: float = 1.0,
) -> dict[str, Tensor]:
    """Return the terms of equation 8 for the sampled pixels of one frame; their sum is the loss.

    The norm term (equation 9) is taken over the sampled pixels, which estimates the mean over the frame when they are
    drawn uniformly from it. Pixels without a mask count there, and take no part in pairs.

    Args:
        rendered: [P, F] rendered features of the sampled pixels, not normalised.
        mask_vectors: [P, M] bool, which masks of the frame cover each pixel.
        mask_sizes: [M] areas of the masks, in any unit.
        paired: [P] bool, the pixels to pair; by default all. Those that no mask covers are left out in any case.
        positive_threshold, negative_threshold: tau_p and tau_n.
        mining: which pairs count, see `pair_losses`.
        shared_only_large: what a pair is that shares no finest mask, see `correspondence`.
        normalisation: what Z counts, see `pair_losses`.
        norm_weight: weight of the norm term.

    Returns:
        Scalars "positive" (equation 6), "negative" (equation 7) and "norm" (equation 9, weighted).
    """
    covered = mask_vectors.any(dim=1)
    if paired is not None:
        covered = covered & paired
    mask_vectors = mask_vectors[covered]
    positive, negative = pair_losses(
        functional.normalize(rendered[covered], dim=1),
        mask_vectors,
        mask_sizes,
        positive_threshold=positive_threshold,
        negative_threshold=negative_threshold,
        mining=mining,
        shared_only_large=shared_only_large,
        normalisation=normalisation,
    )
    return {"positive": positive, "negative": negative, "norm": norm_weight * norm_loss(rendered.norm(dim=1))}


def norm_loss(norms: Tensor) -> Tensor:
    """Return (1 - mean norm)^2 (equation 9) of the lengths `norms` [P] of rendered features."""
    return (1 - norms.mean()).square()


def correspondence(
    mask_vectors: Tensor,
    mask_sizes: Tensor | None = None,
    shared_only_large: SharedOnlyLarge = "positive",
    rows: slice | Tensor = slice(None),
) -> tuple[Tensor, Tensor]:
    """Return which pairs of pixels are positive and which negative.

    By the paper's equation 3 (`shared_only_large="positive"`) a pair is positive if any mask covers both, else
    negative. Where masks nest (a hand, a sleeve, and the arm as both) this pulls hand and sleeve together, for they
    share the arm. The other choices look at the smallest mask that covers each pixel: if it covers the other pixel
    too, one way or the other, the pair is positive; if the two share only larger masks, the pair is left out
    ("ignore") or is negative ("negative"). A pixel of the arm that no finer mask covers stays positive with both.

    Args:
        mask_vectors: [P, M] bool, which masks cover each pixel; at least one.
        mask_sizes: [M] areas of the masks; not needed for "positive".
        shared_only_large: as above.
        rows: the pixels i of the pairs (i, j); all by default.

    Returns:
        positive [R, P] and negative [R, P], bool, for the R pixels of `rows` against all P.
    """
    vectors = mask_vectors.float()
    share = vectors[rows] @ vectors.T > 0
    if shared_only_large == "positive":
        return share, ~share
    if mask_sizes is None:
        raise ValueError("mask_sizes are needed to tell fine masks from large ones")
    finest = torch.where(mask_vectors, mask_sizes.to(vectors), torch.inf).argmin(dim=1)
    near = mask_vectors.T[finest[rows]] | mask_vectors[rows][:, finest]
    return near, (~share if shared_only_large == "ignore" else ~near)


def relative_smallness(mask_vectors: Tensor, mask_sizes: Tensor) -> Tensor:
    """Return a_i = max(s) / s_i [P] float64, with s_i the mean size of the masks that cover pixel i."""
    vectors = mask_vectors.double()
    size = vectors @ mask_sizes.to(vectors) / vectors.sum(dim=1)
    return size.max() / size


def weight_terms(smallness: Tensor) -> tuple[float, float]:
    """Return (offset, slope) with W_ij = offset + slope a_i a_j, for `smallness` a [P].

    W is max(1, max(s s^T) / (s_i s_j)) = a_i a_j, which is at least 1, rescaled to [1, 10]; 1 if all sizes are equal.
    """
    largest = float(smallness.max()) ** 2
    slope = (LARGEST_WEIGHT - 1) / (largest - 1) if largest > 1 + 1e-9 else 0.0
    return 1 - slope, slope


def pixel_weights(mask_vectors: Tensor, mask_sizes: Tensor) -> Tensor:
    """Return W [P, P] float64 in [1, 10]: pairs of pixels under small masks weigh more.

    Args:
        mask_vectors: [P, M] bool, which masks cover each pixel; at least one.
        mask_sizes: [M] areas of the masks, in any unit.
    """
    smallness = relative_smallness(mask_vectors, mask_sizes)
    offset, slope = weight_terms(smallness)
    return offset + slope * smallness[:, None] * smallness


def pair_losses(
    directions: Tensor,
    mask_vectors: Tensor,
    mask_sizes: Tensor,
    *,
    positive_threshold: float = POSITIVE_THRESHOLD,
    negative_threshold: float = NEGATIVE_THRESHOLD,
    mining: Mining = "soft",
    shared_only_large: SharedOnlyLarge = "positive",
    normalisation: Normalisation = "pairs",
) -> tuple[Tensor, Tensor]:
    """Return the positive and the negative loss (equations 6 and 7) over all pairs i < j of P pixels.

    The paper writes "pairwise similarities" for C_F; here they are cosines, to which its thresholds and the norm
    term fit. Equations 4 and 5 leave out what the text beside them says, that only positive pairs enter the positive
    loss and only negative ones the negative: that condition is kept here.

    The matrices are never whole in memory: rows are worked through in blocks, and because both losses are linear in
    C_F wherever they are differentiable, their gradient with respect to `directions` is summed on the way.

    Args:
        directions: [P, F] rendered features of length one; differentiable (once).
        mask_vectors: [P, M] bool, which masks cover each pixel; at least one.
        mask_sizes: [M] areas of the masks, in any unit.
        positive_threshold, negative_threshold: tau_p and tau_n.
        mining: "soft" as equations 4 and 5: all pairs of a pixel i count in the positive (negative) loss if one of
            its positive (negative) pairs is below tau_p (above tau_n); "hard": only such pairs themselves; "none":
            all.
        shared_only_large: see `correspondence`.
        normalisation: Z is the number of all pairs ("pairs", as the paper), or of the mined ones, before the
            condition above is applied ("mined", as the authors' program).

    Returns:
        Two scalars; 0 for fewer than two pixels.
    """
    function = (
        _PairLossesOnCpu if directions.device.type == "cpu" and directions.dtype == torch.float32 else _PairLosses
    )
    return function.apply(  # type: ignore[return-value]
        directions,
        mask_vectors,
        mask_sizes,
        positive_threshold,
        negative_threshold,
        mining,
        shared_only_large,
        normalisation,
    )


class _PairLosses(torch.autograd.Function):
    """Both losses and, in the same sweep over blocks of rows, their gradients."""

    @staticmethod
    def forward(ctx, directions, mask_vectors, mask_sizes, tau_p, tau_n, mining, shared_only_large, normalisation):
        features = directions.detach()
        count = len(features)
        sums = features.new_zeros(2)  # positive, negative: of W C_F over the mined pairs
        mined = features.new_zeros(2)
        gradients = features.new_zeros(2, *features.shape)
        if count > 1:
            smallness = relative_smallness(mask_vectors, mask_sizes).to(features)
            offset, slope = weight_terms(smallness)
            height = max(1, _BLOCK["cuda" if features.is_cuda else "cpu"] // count)
            for start in range(0, count, height):
                rows = slice(start, min(start + height, count))
                similarity = features[rows] @ features.T
                relations = correspondence(mask_vectors, mask_sizes, shared_only_large, rows)
                astray = relations[0] & (similarity < tau_p), relations[1] & (similarity > tau_n)
                # From here on only pairs i < j: columns from `start` on, above the diagonal.
                upper = slice(start, count)
                later = similarity[:, upper]
                weights = (offset + slope * smallness[rows, None] * smallness[upper]).triu_(1)
                pairs_of_row = torch.arange(count - 1 - start, count - 1 - rows.stop, -1).to(features)
                for side in range(2):
                    chosen = (astray if mining == "hard" else relations)[side][:, upper]
                    coefficients = weights * chosen
                    if mining == "soft":
                        astray_rows = astray[side].any(dim=1)
                        coefficients *= astray_rows[:, None]
                        mined[side] += pairs_of_row[astray_rows].sum()
                    elif mining == "hard":
                        mined[side] += chosen.triu(1).sum()
                    else:
                        mined[side] += pairs_of_row.sum()
                    if side == 1:
                        coefficients *= later > 0  # ReLU
                    sums[side] += (coefficients * later).sum()
                    gradients[side, rows] += coefficients @ features[upper]
                    gradients[side, upper] += coefficients.T @ features[rows]
        scale = _scale(mined, count, normalisation)
        ctx.save_for_backward(gradients * scale[:, None, None])
        return (sums * scale).unbind()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, *incoming):
        (gradients,) = ctx.saved_tensors
        return incoming[0] * gradients[0] + incoming[1] * gradients[1], *[None] * 7


class _PairLossesOnCpu(torch.autograd.Function):
    """The same in float32 with the kernels of `contrastive_cpu`: one sweep for the losses, one for their gradient."""

    @staticmethod
    def forward(ctx, directions, mask_vectors, mask_sizes, tau_p, tau_n, mining, shared_only_large, normalisation):
        from trase_ns.learning import contrastive_cpu
        from trase_ns.render.cpu.runtime import kernels

        count, depth = directions.shape
        ctx.shape = count, depth
        if count < 2:
            return directions.new_zeros(2).unbind()
        lanes = contrastive_cpu.LANES
        padded = -(-count // lanes) * lanes
        features = np.zeros((padded, -(-depth // lanes) * lanes), np.float32)
        features[:count, :depth] = directions.detach().numpy()
        _, patterns, first = _distinct(mask_vectors)
        relations = correspondence(mask_vectors, mask_sizes, shared_only_large, first)
        smallness = relative_smallness(mask_vectors, mask_sizes)
        ctx.given = (
            features,
            np.ascontiguousarray(features.T),
            np.pad(patterns, (0, padded - count)),
            *(_sixteens(relation.numpy(), padded) for relation in relations),
            np.pad(smallness.numpy().astype(np.float32), (0, padded - count)),
            *map(np.float32, (*weight_terms(smallness), tau_p, tau_n)),
            contrastive_cpu.MINING.index(mining),
        )
        astray = np.zeros((2, padded), np.bool_)
        sums, mined = np.zeros((2, padded)), np.zeros((2, padded), np.int64)
        with kernels():
            contrastive_cpu.survey(*ctx.given, astray, sums, mined)
        if mining == "soft":
            sums *= astray
        if mining != "hard":
            mined[:, :count] = np.arange(count - 1, -1, -1) * (astray[:, :count] if mining == "soft" else 1)
        ctx.rows = _sixteens(astray, padded)
        ctx.scale = _scale(torch.from_numpy(mined.sum(axis=1)).to(directions), count, normalisation)
        return (torch.from_numpy(sums.sum(axis=1)).to(directions) * ctx.scale).unbind()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, *incoming):
        from trase_ns.learning import contrastive_cpu
        from trase_ns.render.cpu.runtime import kernels

        count, depth = ctx.shape
        if count < 2:
            return torch.zeros(count, depth), *[None] * 7
        gradient = np.empty_like(ctx.given[0])
        scales = (torch.stack(incoming) * ctx.scale).numpy()
        with kernels():
            contrastive_cpu.gather(*ctx.given, ctx.rows, scales, gradient)
        return torch.from_numpy(gradient)[:count, :depth], *[None] * 7


def _scale(mined: Tensor, count: int, normalisation: Normalisation) -> Tensor:
    """Return [2] what the sums over pairs are multiplied with: signs of the losses by numbers of pairs."""
    pairs = mined if normalisation == "mined" else torch.full_like(mined, count * (count - 1) / 2)
    return mined.new_tensor([-1.0, 1.0]) / pairs.clamp_min(1)


def _distinct(mask_vectors: Tensor) -> tuple[np.ndarray, np.ndarray, Tensor]:
    """Return the distinct rows of `mask_vectors` as bytes, the place of each row among them, and a row for each."""
    packed = np.packbits(mask_vectors.numpy(), axis=1)
    rows = np.ascontiguousarray(packed).view(f"V{packed.shape[1]}").ravel()
    found, first, places = np.unique(rows, return_index=True, return_inverse=True)
    return found, places.reshape(-1), torch.from_numpy(first)


def _sixteens(flags: np.ndarray, padded: int) -> np.ndarray:
    """Return flags [K, P] bool as [K, padded / 16] int64 of 16 bits each, lowest first."""
    flags = np.pad(flags, ((0, 0), (0, padded - flags.shape[1])))
    return np.packbits(flags, axis=1, bitorder="little").view("<u2").astype(np.int64)
