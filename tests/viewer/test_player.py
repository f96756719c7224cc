import threading

import pytest

from trase_ns.errors import UserError
from trase_ns.viewer.player import Player

TIMES = (0.0, 0.25, 0.5, 0.75, 1.0)


@pytest.fixture
def shown():
    """What is shown: [the time], and the times that were shown before it."""
    return [0.0]


@pytest.fixture
def player(shown):
    return Player(TIMES, lambda: shown[-1], shown.append, speed=10.0)


def test_time_goes_on_by_the_moments_that_are_due(player, shown):
    player.advance(0.1)
    player.advance(0.1)
    assert shown == [0.0, 0.25, 0.5]


def test_parts_of_a_moment_add_up(player, shown):
    for _ in range(4):
        player.advance(0.03)
    assert shown == [0.0, 0.25]
    player.advance(0.085)
    assert shown == [0.0, 0.25, 0.5]


def test_moments_are_skipped_where_showing_them_takes_long(player, shown):
    player.advance(0.35)
    assert shown == [0.0, 0.75]


def test_it_begins_again_after_the_last_moment(player, shown):
    shown[:] = [1.0]
    player.advance(0.1)
    assert shown[-1] == 0.0
    player.advance(0.7)
    assert shown[-1] == 0.5


def test_without_loop_it_stops_at_the_last_moment(player, shown):
    player.loop = False
    player.advance(3.0)
    assert shown[-1] == 1.0


def test_it_goes_on_from_a_time_that_was_chosen_meanwhile(player, shown):
    player.advance(0.1)
    shown.append(0.6)  # between two moments
    player.advance(0.1)
    assert shown[-1] == 0.75
    shown.append(0.5 - 1e-9)  # as good as a moment
    player.advance(0.1)
    assert shown[-1] == 0.75


def test_play_moves_the_time_until_pause():
    moved = threading.Event()
    player = Player(TIMES, lambda: 0.0, lambda time: moved.set(), speed=100.0)
    heard = []
    player.subscribe(lambda: heard.append(player.playing))
    player.play()
    player.play()  # is playing already
    assert moved.wait(30)
    player.pause()
    player.pause()
    assert heard == [True, False]


def test_without_loop_play_at_the_end_begins_at_the_start(shown):
    shown[:] = [1.0]
    done = threading.Event()
    player = Player(TIMES, lambda: shown[-1], shown.append, speed=100.0, loop=False)
    player.subscribe(lambda: player.playing or done.set())
    player.play()
    assert done.wait(30)
    assert shown[1] == 0.0
    assert shown[-1] == 1.0


@pytest.mark.parametrize(("given", "taken"), [(12, 12.0), (1e9, 120.0), (-3, 0.1)])
def test_speed_is_kept_in_its_range(player, given, taken):
    player.speed = given
    assert player.speed == taken


@pytest.mark.parametrize("value", [float("nan"), float("inf"), None])
def test_a_speed_that_is_no_number_is_refused(player, value):
    with pytest.raises(UserError, match="frames a second"):
        player.speed = value
    assert player.speed == 10.0
