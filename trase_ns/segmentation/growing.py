"""A selection made larger, smaller, cleaner, or taken apart, by where its Gaussians lie and by what they are like.

Positions are `points` [N, D] throughout: at one moment [N, 3] (`scene.means`, or `scene.at(time).means`), or at
several side by side [N, 3 T], where only what stays together is near. Radii are multiples of the spacing of Gaussians,
so that one number suits scenes and objects of any size.
"""

from __future__ import annotations

import warnings

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from trase_ns.errors import UserError
from trase_ns.scene.gaussians import DynamicGaussians
from trase_ns.scene.spherical_harmonics import sh0_to_rgb
from trase_ns.segmentation.filtering import cosine_to, has_features

# The typical spacing is the median distance to the third nearest Gaussian of the selection.
NEIGHBOURS = 3
# Neighbours that a Gaussian is linked to, those that vote for it, and the share of them that closes a hole.
LINKS = 8
VOTERS = 12
CLOSED = 0.7
# So many colours stand for a selection; at this distance from them (black to white is sqrt(3)) nothing is alike.
TYPICAL_COLOURS, COLOUR_RANGE = 6, 1.0


def spacing(points: Tensor, mask: Tensor) -> float:
    """Return the typical distance between neighbours within the selection, the unit in which it grows and shrinks.

    Args:
        points: [N, D] positions.
        mask: bool [N], the selection; of fewer than two Gaussians, the spacing is that of all.
    """
    from scipy.spatial import KDTree

    chosen = _numpy(points[mask] if int(mask.sum()) > 1 else points)
    if len(chosen) < 2:
        return 0.0
    asked = chosen[:: max(1, len(chosen) // 4000)]
    distances, _ = KDTree(chosen).query(asked, k=min(NEIGHBOURS + 1, len(chosen)))
    return float(np.median(distances[:, -1]))


def grow(points: Tensor, mask: Tensor, radius: float = 1.0) -> Tensor:
    """Add the Gaussians near a selected one.

    Args:
        points: [N, D] positions.
        mask: bool [N], the selection.
        radius: largest distance to a selected Gaussian, in spacings of the selection.

    Returns:
        bool [N].
    """
    return mask | _near(points, ~mask, mask, radius * spacing(points, mask))


def shrink(points: Tensor, mask: Tensor, radius: float = 1.0) -> Tensor:
    """Remove the Gaussians near one that is not selected: an object that touches no other stays as it is.

    Args:
        points: [N, D] positions.
        mask: bool [N], the selection.
        radius: least distance to all others, in spacings of the selection.

    Returns:
        bool [N].
    """
    return mask & ~_near(points, mask, ~mask, radius * spacing(points, mask))


def fill_holes(points: Tensor, mask: Tensor, rounds: int = 3) -> Tensor:
    """Add the Gaussians that are surrounded: most of their nearest neighbours are selected.

    Args:
        points: [N, D] positions.
        mask: bool [N], the selection.
        rounds: how often; each closes holes from their borders a little further.

    Returns:
        bool [N].
    """
    from scipy.spatial import KDTree

    if not bool(mask.any()) or bool(mask.all()):
        return mask
    # Who has a selected Gaussian among its neighbours is near one: the others need not be asked.
    reach = VOTERS * spacing(points, mask)
    asked = _near(points, ~mask, mask, reach).nonzero().flatten()
    count = min(VOTERS + 1, len(points))
    _, neighbours = KDTree(_numpy(points)).query(_numpy(points[asked]), k=count, workers=-1)
    neighbours = torch.from_numpy(neighbours.reshape(len(asked), count)[:, 1:]).to(mask.device)
    for _ in range(rounds):
        closed = asked[mask[neighbours].float().mean(dim=1) >= CLOSED]
        if bool(mask[closed].all()):
            break
        mask = mask.index_fill(0, closed, True)
    return mask


def remove_specks(points: Tensor, mask: Tensor, radius: float = 3.0, share: float = 0.02) -> Tensor:
    """Remove the connected pieces (see `pieces`) that are small beside the largest one.

    Args:
        points: [N, D] positions.
        mask: bool [N], the selection.
        radius: largest gap within a piece, in spacings of the Gaussians around it.
        share: least size of a piece, as a share of the largest one's number of Gaussians.

    Returns:
        bool [N].
    """
    labels = pieces(points, mask, radius)
    if not bool((labels >= 0).any()):
        return mask
    sizes = torch.bincount(labels[labels >= 0])
    return mask & (sizes >= share * sizes[0])[labels]


def pieces(
    points: Tensor,
    mask: Tensor,
    radius: float = 3.0,
    features: Tensor | None = None,
    similarity: float = 0.7,
    smallest: float = 0.0,
) -> Tensor:
    """Take a selection apart into its connected pieces.

    Gaussians are linked to their nearest neighbours within `radius`, and, with features, only to those like them:
    two objects that touch come apart where their features differ. Features are smoothed over the neighbours first,
    so that single odd ones neither bridge nor break. The unit of the radius is the typical spacing of a Gaussian's
    neighbours, the smaller one of the two to be linked: so a wall of few Gaussians holds together as well as a hand
    of many, but what floats near a hand is no part of it.

    Args:
        points: [N, D] positions.
        mask: bool [N], the selection.
        radius: largest gap within a piece, in spacings of the Gaussians around it.
        features: [N, F], or None to go by positions alone.
        similarity: least cosine of the features of linked Gaussians.
        smallest: pieces with less than this share of the largest go to the piece of the nearest Gaussian of another.

    Returns:
        [N] int64: the piece of each Gaussian, 0 the largest, -1 outside of the selection.
    """
    from scipy import sparse
    from scipy.spatial import KDTree

    labels = torch.full((len(mask),), -1, dtype=torch.int64, device=mask.device)
    index = mask.nonzero().flatten()
    count = len(index)
    if not count:
        return labels
    chosen = _numpy(points[index])
    links = min(LINKS + 1, count)
    distances, neighbours = (part.reshape(count, links) for part in KDTree(chosen).query(chosen, links, workers=-1))
    own = distances[:, min(NEIGHBOURS, links - 1)]
    around = np.median(own[neighbours[:, min(1, links - 1) :]], axis=1)
    kept = distances <= radius * np.minimum(around[:, None], around[neighbours])
    if features is not None:
        unit = normalize(features[index].detach().float().cpu(), dim=1)
        unit = normalize(unit[torch.from_numpy(neighbours)].mean(dim=1), dim=1)
        cosines = torch.einsum("kf,klf->kl", unit, unit[torch.from_numpy(neighbours)])
        kept &= (cosines >= similarity).numpy()
    rows = np.repeat(np.arange(count), links)[kept.ravel()]
    graph = sparse.coo_matrix((np.ones(len(rows), np.bool_), (rows, neighbours[kept])), shape=(count, count))
    _, found = sparse.csgraph.connected_components(graph, directed=False)
    found = _by_size(found)
    sizes = np.bincount(found)
    large = (sizes >= smallest * sizes[0])[found]
    if not large.all():
        nearest = KDTree(chosen[large]).query(chosen[~large], workers=-1)[1]
        found[~large] = found[large][nearest]
        found = _by_size(found)
    labels[index] = torch.from_numpy(found).to(labels.device)
    return labels


def likeness(scene: DynamicGaussians, mask: Tensor) -> Tensor:
    """Tell how much each Gaussian is like the selected ones, for a slider from 0 to 1.

    With trained features: the cosine to the mean feature of the selection. Without: 1 - the distance of its colour
    (RGB in [0, 1]) to the nearest of the selection's typical colours.

    Args:
        scene: the scene.
        mask: bool [N], the selection.

    Returns:
        [N] float32, at most 1.

    Raises:
        UserError: nothing is selected.
    """
    if not bool(mask.any()):
        raise UserError("nothing is selected: select something for others to be like.")
    if has_features(scene.features):
        return cosine_to(scene.features, normalize(scene.features[mask].detach().float(), dim=1).mean(dim=0))
    from scipy.cluster.vq import kmeans2
    from scipy.spatial import KDTree

    colours = sh0_to_rgb(scene.sh0.detach()).clamp(0, 1)
    own = _numpy(colours[mask])
    distinct = np.unique(own.round(2), axis=0)
    starts = distinct[np.linspace(0, len(distinct) - 1, min(len(distinct), TYPICAL_COLOURS)).astype(int)]
    with warnings.catch_warnings():  # of a cluster that comes out empty: its centre stays where it was
        warnings.simplefilter("ignore", UserWarning)
        typical, _ = kmeans2(own, starts, minit="matrix")
    distances, _ = KDTree(typical).query(_numpy(colours), workers=-1)
    return 1 - torch.from_numpy(distances).to(colours) / COLOUR_RANGE


def grow_to_similar(
    scene: DynamicGaussians,
    mask: Tensor,
    similarity: float = 0.9,
    radius: float | None = None,
    points: Tensor | None = None,
) -> Tensor:
    """Add the Gaussians like the selected ones.

    Args:
        scene: the scene.
        mask: bool [N], the selection.
        similarity: least `likeness`.
        radius: only those that are connected with the selection through others like them, across gaps of at most so
            many spacings (see `pieces`); None for all. Colours say little of what belongs together: without features
            use it.
        points: [N, D] positions for that; those in canonical space by default.

    Returns:
        bool [N].

    Raises:
        UserError: nothing is selected.
    """
    grown = mask | (likeness(scene, mask) >= similarity)
    if radius is None:
        return grown
    points = scene.means if points is None else points
    labels = pieces(points, grown, radius)
    return grown & torch.isin(labels, labels[mask])


def _near(points: Tensor, of: Tensor, to: Tensor, distance: float) -> Tensor:
    """Return bool [N], those Gaussians in `of` that lie within `distance` of one in `to` (bool [N] both)."""
    from scipy.spatial import KDTree

    near = torch.zeros_like(of)
    asked = of.nonzero().flatten()
    if len(asked) and bool(to.any()):
        tree = KDTree(_numpy(points[to]))
        reached = tree.query(_numpy(points[asked]), distance_upper_bound=np.nextafter(distance, np.inf), workers=-1)[0]
        near[asked] = torch.from_numpy(np.isfinite(reached)).to(near.device)
    return near


def _by_size(labels: np.ndarray) -> np.ndarray:
    """Number the classes of labels [n] anew by falling size, those of one size by their first member."""
    _, first, inverse, sizes = np.unique(labels, return_index=True, return_inverse=True, return_counts=True)
    rank = np.empty(len(sizes), np.int64)
    rank[np.lexsort((first, -sizes))] = np.arange(len(sizes))
    return rank[inverse]


def _numpy(tensor: Tensor) -> np.ndarray:
    return tensor.detach().cpu().double().numpy()
