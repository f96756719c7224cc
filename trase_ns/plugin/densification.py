"""gsplat's densification with an upper bound on the number of Gaussians."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from gsplat.strategy import DefaultStrategy


@dataclass
class BoundedStrategy(DefaultStrategy):
    """Clone and split where the image gradient is high, prune what is transparent, up to `max_gaussians`."""

    max_gaussians: int = 1_000_000

    def step_post_backward(
        self, params: Any, optimizers: Any, state: dict[str, Any], step: int, info: dict[str, Any], packed: bool = False
    ) -> None:
        """Do what is due after a step; state["origin"] then says for each Gaussian which one of state["before"]
        it came from."""
        # gsplat clones, splits and prunes whatever tensors the state holds along with the parameters.
        state["before"] = len(params["means"])
        state["origin"] = torch.arange(state["before"], device=params["means"].device)
        super().step_post_backward(params, optimizers, state, step, info, packed)

    @torch.no_grad()
    def _grow_gs(self, params: Any, optimizers: Any, state: dict[str, Any], step: int) -> tuple[int, int]:
        # Each Gaussian over the threshold adds one; where there is no room for all, those with the highest gradient go.
        room = self.max_gaussians - len(params["means"])
        gradient = state["grad2d"] / state["count"].clamp_min(1)
        if int((gradient > self.grow_grad2d).sum()) > room:
            kept = torch.topk(gradient, max(room, 0)).indices
            bounded = torch.zeros_like(state["grad2d"])
            bounded[kept] = state["grad2d"][kept]
            state["grad2d"] = bounded
        return super()._grow_gs(params, optimizers, state, step)
