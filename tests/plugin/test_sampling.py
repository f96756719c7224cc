"""Frames are drawn from the middle of the video outwards, and each in its turn."""

from trase_ns.plugin.sampling import FrameSampler

TIMES = [i / 49 for i in range(50)]


def test_without_a_window_each_frame_comes_once_before_any_comes_again():
    sampler = FrameSampler(TIMES)
    for _ in range(3):
        assert sorted(sampler.next(step) for step in range(50)) == list(range(50))


def test_window_starts_in_the_middle_and_grows_to_all():
    sampler = FrameSampler(TIMES, first=100, last=200, start=0.1)
    first = sampler.window(0)
    assert len(first) == 5
    assert {23, 24, 25, 26} < set(first)
    assert sampler.window(100) == sampler.window(0)
    sizes = [len(sampler.window(step)) for step in range(100, 201)]
    assert sizes == sorted(sizes)
    assert sizes[50] in (27, 28)
    assert sorted(sampler.window(200)) == list(range(50))


def test_draws_stay_in_the_window_and_favour_its_newest_frames():
    sampler = FrameSampler(TIMES, first=0, last=1000, start=0.1, seed=1)
    drawn = [(step, sampler.next(step)) for step in range(1000)]
    assert all(index in sampler.window(step) for step, index in drawn)
    newest = sum(index in sampler.window(step)[-6:] for step, index in drawn)
    assert newest > 500


def test_peek_tells_the_next_frame():
    sampler = FrameSampler(TIMES, first=10, last=60, start=0.1)
    for step in range(100):
        expected = sampler.peek()
        index = sampler.next(step)
        assert expected in (None, index)
    assert expected is not None


def test_several_cameras_at_one_time_come_together():
    sampler = FrameSampler([0.0, 0.0, 0.5, 0.5, 1.0, 1.0], first=10, last=20, start=0.34)
    assert sorted(sampler.window(0)) == [2, 3]


def test_same_seed_same_order():
    one, two = (FrameSampler(TIMES, 10, 80, 0.1, seed=5) for _ in range(2))
    assert [one.next(s) for s in range(200)] == [two.next(s) for s in range(200)]
