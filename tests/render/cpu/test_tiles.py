import numpy as np
import pytest
import torch

from trase_ns.render.cpu.functions import Tiles, project
from trase_ns.render.cpu.tiles import RECORD, TILE, blocks_reached


@pytest.mark.parametrize("count", [1, 5, 700])
def test_tiles_list_their_gaussians_near_to_far(make_scene, count):
    scene = make_scene(count=count)
    projected = project(
        scene.means, scene.quats, scene.scales, scene.viewmats, scene.Ks, scene.width, scene.height, 0.01, 1e10, 0.3
    )
    means2d, cov2d, depths, radii = (values[0] for values in projected)
    tiles = Tiles(means2d, cov2d, depths, radii, scene.opacities, scene.width, scene.height)
    columns, rows = -(-scene.width // TILE), -(-scene.height // TILE)
    assert len(tiles.starts) == columns * rows + 1
    assert tiles.starts[-1] == len(tiles.members) == tiles.firsts[-1]

    order = torch.from_numpy(tiles.order.astype(np.int64))
    assert (depths[order].diff() >= 0).all()
    assert set(order.tolist()) == set(torch.nonzero(radii)[:, 0].tolist())
    rank = {int(i): k for k, i in enumerate(order)}
    for tile in range(columns * rows):
        members = tiles.members[tiles.starts[tile] : tiles.starts[tile + 1]]
        assert (np.diff(members) > 0).all()
        x, y = tile % columns * TILE, tile // columns * TILE
        for i in rank:
            reached = blocks_reached_by(tiles, rank[i], x, y)
            box = means2d[i] / TILE - radii[i] / TILE, means2d[i] / TILE + radii[i] / TILE
            inside = (torch.floor(box[0]) * TILE <= torch.tensor([x, y])).all()
            inside &= (torch.tensor([x, y]) < torch.ceil(box[1]) * TILE).all()
            if scene.opacities[i] >= 1 / 255 and reached and inside:
                assert rank[i] in members

    for k in range(len(order)):
        pairs = tiles.places[tiles.firsts[k] : tiles.firsts[k + 1]]
        assert (tiles.members[pairs] == k).all()
    assert len(np.unique(tiles.places)) == len(tiles.places)


def blocks_reached_by(tiles, k, x, y):
    return blocks_reached(tiles.records, k * RECORD, x, y)
