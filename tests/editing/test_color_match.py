import torch

from trase_ns.editing.color_match import covariance, linear_match


def some_colors(seed, count=5000):
    generator = torch.Generator().manual_seed(seed)
    mixing = torch.randn(3, 3, generator=generator, dtype=torch.float64) * 0.2
    return torch.randn(count, 3, generator=generator, dtype=torch.float64) @ mixing + torch.rand(
        3, generator=generator, dtype=torch.float64
    )


def test_covariance_is_the_weighted_one():
    colors = some_colors(0, 4)
    repeated = colors[[0, 0, 0, 1, 2, 2, 3]]
    mean, found = covariance(colors, torch.tensor([3.0, 1, 2, 1], dtype=torch.float64))
    torch.testing.assert_close(mean, repeated.mean(0))
    torch.testing.assert_close(found, repeated.T.cov(correction=0))


def test_matched_colors_have_the_mean_and_covariance_of_the_others():
    colors, target = some_colors(1), some_colors(2)
    matrix, offset = linear_match(*covariance(colors), *covariance(target))
    mean, found = covariance(colors @ matrix.T + offset)
    torch.testing.assert_close(mean, target.mean(0))
    torch.testing.assert_close(found, covariance(target)[1], atol=3e-3, rtol=0.05)


def test_nothing_moves_where_nothing_differs():
    statistics = covariance(some_colors(3))
    matrix, offset = linear_match(*statistics, *statistics)
    torch.testing.assert_close(matrix, torch.eye(3, dtype=torch.float64))
    torch.testing.assert_close(offset, torch.zeros(3, dtype=torch.float64), atol=1e-7, rtol=0)


def test_the_noise_of_an_even_color_is_not_blown_up():
    even = torch.tensor([0.6, 0.2, 0.2], dtype=torch.float64) + 1e-4 * some_colors(4)
    matrix, _ = linear_match(*covariance(even), *covariance(some_colors(5)))
    assert torch.linalg.eigvalsh(matrix).max() < 30
