"""A scene small enough to know by heart: a red and a blue ball that change places while time goes from 0 to 1."""

import pytest
import torch

from trase_ns.scene.camera import Camera
from trase_ns.scene.gaussians import DynamicGaussians
from trase_ns.segmentation.objects import Segmentation

RED, BLUE = 60, 40  # Gaussians of each ball; the red one is object 0, the larger
X = 0.5  # at time 0 red is at -X (left), blue at +X


class ChangePlaces(torch.nn.Module):
    """Moves each ball to the other's place, linearly; notes the times that it was asked for."""

    def __init__(self):
        super().__init__()
        self.times = []

    def move(self, means, quats, log_scales, motion, time):
        self.times.append(time)
        shift = torch.zeros_like(means)
        shift[:, 0] = -2 * X * means[:, 0].sign() * time
        return means + shift, quats, log_scales


class Balls:
    """What a model holds: parameters that training replaces, and objects that come at its end."""

    def __init__(self):
        generator = torch.Generator().manual_seed(0)
        means = 0.08 * torch.randn(RED + BLUE, 3, generator=generator)
        means[:RED, 0] -= X
        means[RED:, 0] += X
        self.means = torch.nn.Parameter(means)
        self.segmentation = Segmentation.from_members(
            [torch.arange(RED), torch.arange(RED, RED + BLUE)], RED + BLUE, features=self.features
        )

    @property
    def features(self):
        owner = torch.arange(len(self.means)) >= RED
        return torch.nn.functional.one_hot(owner.long(), 8).float()

    def scene(self):
        n = len(self.means)
        sh0 = torch.full((n, 3), -1.7)
        sh0[:RED, 0] = 1.7
        sh0[RED:, 2] = 1.7
        return DynamicGaussians(
            means=self.means,
            quats=torch.tensor([1.0, 0, 0, 0]).expand(n, 4),
            log_scales=torch.full((n, 3), -2.8),
            logit_opacities=torch.full((n,), 3.0),
            sh0=sh0,
            sh_rest=torch.zeros(n, 0, 3),
            features=self.features,
            field=ChangePlaces(),
        )

    def densify(self, keep):
        """Do what a strategy does: new parameters hold the Gaussians `keep`."""
        self.means = torch.nn.Parameter(self.means.detach()[keep].clone())


@pytest.fixture(scope="session")
def new_balls():
    return Balls


@pytest.fixture
def balls():
    return Balls()


@pytest.fixture
def camera():
    """Looks along +z at the origin from 2 away; red is in the left half of the picture at time 0."""
    viewmat = torch.eye(4)
    viewmat[2, 3] = 2.0
    K = torch.tensor([[80.0, 0, 48], [0, 80.0, 32], [0, 0, 1]])
    return Camera(viewmat, K, 96, 64, time=0.0)


LEFT, RIGHT, NOWHERE = (28.0, 32.0), (68.0, 32.0), (48.0, 4.0)


@pytest.fixture
def spots():
    """Pixels on the ball at the left, on the one at the right, and on nothing."""
    return LEFT, RIGHT, NOWHERE
