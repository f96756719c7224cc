"""The Gaussians that a viewer shows: kept for the latest times, and if wanted baked for smooth playback."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from trase_ns.errors import UserError
from trase_ns.scene.baked import Baked, bake
from trase_ns.scene.moments import Moments, motion_of

if TYPE_CHECKING:
    from trase_ns.scene.gaussians import DynamicGaussians, Gaussians

# A baked point is off by at most this share of the scene's half size: about a third of a pixel in a picture of it.
TOLERANCE = 1e-3
# The baked changes take at most this much memory.
_MEMORY = 1 << 30
_BYTES_PER_KEY = 20


class Playback:
    """Evaluates a scene that may be in training for whoever looks at it.

    Attributes:
        moments: what is kept, for others who need the same times.

    Args:
        scene: returns the scene as it is now.
        moments: where the Gaussians are kept; give that of others who look at the same scene.
    """

    def __init__(self, scene: Callable[[], DynamicGaussians], moments: Moments | None = None):
        self._scene = scene
        self.moments = moments or Moments()
        self._baked: tuple[list[tuple], Baked] | None = None

    def at(self, time: float) -> Gaussians:
        """Return the Gaussians at `time`, without gradients; moved as baked as long as that is how they move."""
        scene = self._scene()
        if self._baked is not None and self._baked[0] == motion_of(scene):
            looks = {name: getattr(scene, name) for name in ("logit_opacities", "sh0", "sh_rest")}
            scene = replace(self._baked[1].scene, **looks)
        return self.moments.at(scene, time)

    def bake(self) -> str:
        """Bake the scene as it is now; returns what to tell people.

        Raises:
            UserError: the scene is at rest.
        """
        scene = self._scene()
        if scene.field is None or not len(scene):
            raise UserError("nothing moves yet: there is nothing to bake")
        size = float((scene.means.detach() - scene.means.detach().median(0).values).norm(dim=1).median())
        keys = max(2, min(256, _MEMORY // (_BYTES_PER_KEY * len(scene))))
        baked = bake(scene, TOLERANCE * size, keys)
        self._baked = motion_of(scene), baked
        off = f"off by at most {100 * baked.error / max(size, 1e-9):.2g} % of the scene's half size"
        return f"baked to {baked.keys} key times, {off}"

    def drop(self) -> None:
        """Show the scene itself again."""
        self._baked = None
