import torch
from scipy.spatial.transform import Rotation

from trase_ns.scene import quaternions


def scipy_rotations(quats):
    return Rotation.from_quat(quats.numpy()[:, [1, 2, 3, 0]])


def test_matrices_and_products_agree_with_scipy():
    generator = torch.Generator().manual_seed(0)
    a, b = quaternions.random(50, generator).double(), quaternions.random(50, generator).double()
    expected = torch.from_numpy(scipy_rotations(a).as_matrix())
    torch.testing.assert_close(quaternions.to_matrix(3 * a), expected)
    product = torch.from_numpy((scipy_rotations(a) * scipy_rotations(b)).as_matrix())
    torch.testing.assert_close(quaternions.to_matrix(quaternions.multiply(a, b)), product)


def test_random_rotations_are_unit_and_favour_no_direction():
    quats = quaternions.random(20000, torch.Generator().manual_seed(1))
    torch.testing.assert_close(quats.norm(dim=1), torch.ones(20000))
    assert quaternions.to_matrix(quats).mean(dim=0).abs().max() < 0.02
