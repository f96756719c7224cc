"""Tools that change what is selected or hidden by more than one operation."""

import pytest
import torch
from balls import balls, camera, new_balls, spots  # noqa: F401 - fixtures

from trase_ns.editing import tools
from trase_ns.editing.studio import Studio
from trase_ns.errors import UserError
from trase_ns.segmentation.objects import Segmentation
from trase_ns.segmentation.remains import remains


@pytest.fixture
def studio(balls):  # noqa: F811
    """The red ball was found without the Gaussians in its middle."""
    scene = balls.scene()
    red = torch.arange(60)
    inner = (scene.means[:60] - scene.means[:60].mean(0)).norm(dim=1).argsort()[:10]
    found = Segmentation.from_members([red[~torch.isin(red, inner)], torch.arange(60, 100)], 100)
    return Studio(lambda: scene, lambda: found)


def test_what_is_removed_takes_its_remains_with_it(studio, camera, spots):  # noqa: F811
    studio.click(camera, *spots[0])
    mask = studio.selection()
    expected = remains(studio.scene(), mask, [camera])
    assert 0 < int(expected.sum()) <= 10
    tools.remove_with_remains(studio, [camera])
    assert torch.equal(studio.edits.hidden, mask | expected)
    assert f"{int(expected.sum())} Gaussians" in studio.message
    assert studio.undo() == "remove with remains"
    assert not studio.edits.hidden.any()


def test_nothing_selected_is_said(studio, camera):  # noqa: F811
    with pytest.raises(UserError, match="nothing is selected"):
        tools.remove_with_remains(studio, [camera])
