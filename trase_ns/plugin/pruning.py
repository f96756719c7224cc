"""A run without the Gaussians that its training views show least: LUDVIG (section 3.2)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from trase_ns.console import track
from trase_ns.learning.diffusion import most_seen
from trase_ns.plugin.run import Run
from trase_ns.render import lift

_PARAMETERS = "_model.gauss_params."


@torch.no_grad()
def prune(run: Run, share: float) -> Tensor:
    """Drop from a loaded run the Gaussians with the least total blending weight, each view at its own time.

    The checkpoint stays as it is; see `prune_state`.

    Args:
        run: the run; its model is changed.
        share: share of the Gaussians to drop, from 0 to 1; those that no view shows go in any case.

    Returns:
        [N] bool, the Gaussians that are kept.
    """
    scene, sums = run.scene, None
    dataset = run.datamanager.train_dataset
    for index in track(range(len(dataset)), "weighing Gaussians"):
        camera = dataset.camera(index).to(scene.device)
        picture = torch.ones(camera.height, camera.width, 1, device=scene.device)
        sums = lift(scene.at(camera.time), camera, picture, out=sums)
    assert sums is not None
    kept = most_seen(sums[1], 1 - share)
    for name, parameter in run.model.gauss_params.items():
        run.model.gauss_params[name] = nn.Parameter(parameter.data[kept])
    if run.model.segmentation is not None:
        run.model.segmentation = run.model.segmentation.to("cpu").subset(kept.cpu()).to(scene.device)
    return kept


def prune_state(state: dict[str, Any], kept: Tensor) -> None:
    """Drop Gaussians from a checkpoint's state, and what its optimizers remember of them.

    Args:
        state: of a whole checkpoint; it is changed. Its objects are those of the whole scene still.
        kept: [N] bool.
    """
    kept = kept.cpu()
    pipeline = state["pipeline"]
    names = [name for name in pipeline if name.startswith(_PARAMETERS)]
    for name in names:
        pipeline[name] = pipeline[name][kept].clone()
        optimizer = state["optimizers"].get(name.removeprefix(_PARAMETERS), {})
        for memory in optimizer.get("state", {}).values():
            for key, value in memory.items():
                if isinstance(value, Tensor) and value.ndim and len(value) == len(kept):
                    memory[key] = value[kept].clone()
