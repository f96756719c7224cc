"""Frames are drawn from the middle of the video outwards, and each in its turn."""

from trase_ns.plugin.sampling import FrameSampler, fullest_moment

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


def test_reach_says_which_moments_are_trained_on_while_they_grow():
    sampler = FrameSampler([k / 4 for k in range(5) for _ in range(3)], first=10, last=20, start=0.01)
    assert sampler.reach(0) == (0.5, 0.5)
    reached = [sampler.reach(step) for step in range(10, 20)]
    assert reached[-1] == (0.0, 1.0)
    assert all(a[0] >= b[0] and a[1] <= b[1] for a, b in zip(reached, reached[1:]))
    assert sampler.reach(20) is None
    assert FrameSampler(TIMES).reach(0) is None


def test_moments_are_new_until_others_have_come_in():
    sampler = FrameSampler(TIMES, first=100, last=200, start=0.02)
    assert not any(sampler.is_new(25, step) for step in range(300))  # the first moment is the one that all start from
    steps = [step for step in range(300) if sampler.is_new(40, step)]
    assert 2 <= len(steps) <= 6
    assert all(40 in sampler.window(step) for step in steps[1:])
    assert not any(sampler.is_new(index, 200) for index in range(50))


def test_fullest_moment_is_near_the_middle_where_all_moments_are_alike():
    assert fullest_moment(TIMES, [5, 6] * 25) == TIMES[25]


def test_fullest_moment_is_where_late_things_have_come_in():
    counts = [4] * 30 + [6] * 20
    assert TIMES[30] <= fullest_moment(TIMES, counts) <= TIMES[34]


def test_fullest_moment_is_not_where_something_hides():
    counts = [6] * 15 + [5] * 20 + [6] * 15
    assert not TIMES[18] < fullest_moment(TIMES, counts) < TIMES[32]


def test_fullest_moment_forgives_masks_that_are_missing_in_single_frames():
    counts = [6 - (i % 5 == 0) * 3 for i in range(50)]
    assert abs(fullest_moment(TIMES, counts) - 0.5) < 0.1


def test_fullest_moment_takes_frames_in_any_order_and_few_of_them():
    assert fullest_moment([0.0, 1.0, 0.5], [3, 9, 3]) >= 0.5
    assert fullest_moment([0.3], [0]) == 0.3
    assert fullest_moment([0.9, 0.1], [0, 0]) in (0.1, 0.9)


def test_window_grows_from_a_given_moment():
    sampler = FrameSampler(TIMES, first=0, last=100, start=0.04, centre=TIMES[40])
    assert set(sampler.window(0)) <= {38, 39, 40, 41, 42}
    assert sampler.reach(50)[1] == 1.0
    assert sorted(sampler.window(100)) == list(range(50))
