from hypothesis import given
from hypothesis import strategies as st

from timeline import idle_shares


def test_cores_that_always_work_are_never_idle() -> None:
    shares = idle_shares([(0.0, 1.0), (0.0, 2.0), (1.0, 2.0)], places=2)
    assert (shares.whole, shares.at_end) == (0.0, 0.0)


def test_a_pause_between_trials_is_idle_but_not_at_the_end() -> None:
    shares = idle_shares([(0.0, 1.0), (3.0, 4.0)], places=1)
    assert (shares.whole, shares.at_end) == (0.5, 0.0)


def test_the_end_begins_with_the_last_trial_sent() -> None:
    """Both places are free for a second before it, then one of them for three."""
    shares = idle_shares([(0.0, 1.0), (0.0, 1.0), (2.0, 5.0)], places=2)
    assert (shares.whole, shares.at_end) == (0.5, 0.3)


def test_a_place_that_had_no_trial_is_idle_all_the_time() -> None:
    shares = idle_shares([(2.0, 6.0)], places=4)
    assert (shares.whole, shares.at_end) == (0.75, 0.75)


@given(st.lists(st.lists(st.tuples(st.floats(0, 9), st.floats(0.1, 9)), min_size=1), min_size=1, max_size=5))
def test_idle_at_the_end_is_part_of_all_idle_time(places: list[list[tuple[float, float]]]) -> None:
    """Each place works through its own trials, given as (pause, duration)."""
    trials = []
    for pauses in places:
        now = 0.0
        for pause, duration in pauses:
            trials.append((now + pause, now + pause + duration))
            now = trials[-1][1]
    shares = idle_shares(trials, len(places))
    assert -1e-9 <= shares.at_end <= shares.whole + 1e-9 < 1
