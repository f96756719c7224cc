"""The methods that are compared: each a name for options of `trase features`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from trase_ns.errors import UserError
from trase_ns.learning.methods.options import (
    CgcOptions,
    ClickOptions,
    DgdOptions,
    Options,
    TraseOptions,
    UpliftOptions,
)


@dataclass(frozen=True)
class Method:
    """A method as it is benchmarked.

    Attributes:
        description: what it is, in a line.
        options: those of its features; they say which method it is. As they are by default, they are those of the
            machine, see `method_options`.
        objects: how objects are found, as `trase features --objects`; None for the method's own way.
        similarity: TRASE's filter: of a selected object the Gaussians with at least this cosine to its mean feature.
        default: whether it is compared when no methods are named.
    """

    description: str
    options: Options
    objects: str | None = None
    similarity: float | None = None
    default: bool = True


def _recipe(description: str, similarity: float | None = None, default: bool = True, **options) -> Method:
    """TRASE as in its paper: objects are clusters of the trained features."""
    return Method(description, TraseOptions(**options), "hdbscan", similarity, default)


METHODS: dict[str, Method] = {
    "trase": Method("the default: objects by what masks share in 4D", TraseOptions()),
    "trase-soft": _recipe("the paper's recipe: soft mining, clusters of features", mining="soft"),
    "trase-hard": _recipe("the same with hard mining", mining="hard"),
    "trase-no-mining": _recipe("the same without mining: all pairs", mining="none"),
    "trase-cgc": Method("Contrastive Gaussian Clustering", CgcOptions()),
    "trase-click": Method("Click-Gaussian", ClickOptions()),
    "trase-dgd": Method("distillation of feature maps (DGD)", DgdOptions()),
    "trase-uplift": Method(
        "masks uplifted without training, selected by resemblance (LUDVIG)", UpliftOptions(), "clicks"
    ),
    "trase-filtered": _recipe("trase-soft with the paper's filter", 0.9, default=False, mining="soft"),
    "trase-multi-frame": _recipe("trase-soft, supervised at the next moment too", default=False, multi_frame=True),
    "trase-features": Method(
        "soft mining, objects by clusters of the masks' mean features", TraseOptions(), "mask-features", default=False
    ),
}
DEFAULT = tuple(name for name, method in METHODS.items() if method.default)


def needs_maps(name: str) -> bool:
    """Return whether a method learns from feature maps."""
    return isinstance(METHODS[name].options, DgdOptions)


def chosen(names: Sequence[str] | None) -> tuple[str, ...]:
    """Return the names of the methods to compare, in the order asked for: all that are so by default where None.

    Raises:
        UserError: a name is unknown or there twice, or there is none.
    """
    if names is None:
        return DEFAULT
    if not names:
        raise UserError("--methods: name at least one method.")
    for name in names:
        if name not in METHODS:
            raise UserError(f"--methods: no method is called {name!r}: choose from {', '.join(METHODS)}.")
        if list(names).count(name) > 1:
            raise UserError(f"--methods: {name} is there twice: name each method once.")
    return tuple(names)
