"""Densification stops at its bound and takes the Gaussians that need it most."""

import torch
from torch import nn

from trase_ns.plugin.densification import BoundedStrategy


def grow(max_gaussians):
    count = 10
    params = nn.ParameterDict(
        {
            "means": nn.Parameter(torch.arange(30.0).reshape(count, 3)),
            "scales": nn.Parameter(torch.full((count, 3), -8.0)),  # small: cloned, not split
            "quats": nn.Parameter(torch.randn(count, 4)),
            "opacities": nn.Parameter(torch.zeros(count, 1)),
        }
    )
    optimizers = {name: torch.optim.Adam([parameter], lr=0.1) for name, parameter in params.items()}
    for name, optimizer in optimizers.items():
        params[name].grad = torch.zeros_like(params[name])
        optimizer.step()
    strategy = BoundedStrategy(grow_grad2d=0.5, max_gaussians=max_gaussians)
    state = strategy.initialize_state()
    state["grad2d"], state["count"] = torch.linspace(0.1, 1.0, count), torch.ones(count)
    strategy._grow_gs(params, optimizers, state, step=100)
    return params["means"].detach()


def test_all_over_the_threshold_are_cloned_where_there_is_room():
    assert len(grow(100)) == 10 + 6 - 1  # 0.5 itself is not over the threshold


def test_the_bound_holds_and_the_highest_gradients_go_first():
    means = grow(12)
    assert len(means) == 12
    assert torch.equal(means[10:], torch.tensor([[24.0, 25.0, 26.0], [27.0, 28.0, 29.0]]))


def test_a_scene_at_its_bound_does_not_grow():
    assert len(grow(10)) == 10
    assert len(grow(5)) == 10
