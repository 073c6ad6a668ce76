import pytest

from batchlab.adapt.measuring_pace import RAREST, MeasuringPace, added_share, steps_between


def paced(seconds, monkeypatch, n_steps=60, n_before=0, agree=float):
    """Return the steps that are measured and the pace, for a clock that gives each step's duration by whether it is."""
    now = [0.0]
    monkeypatch.setattr("time.perf_counter", lambda: now[0])
    pace = MeasuringPace(None, settle=lambda: None, agree=agree)
    measured = []
    for step in range(n_before, n_before + n_steps):
        due = pace.due(step)
        now[0] += seconds(step, due)
        measured += [step] if due else []
        pace.step_ended(step + 1)
    return measured, pace


def test_every_second_step_is_timed_and_then_as_many_measured_as_the_time_allows(monkeypatch):
    measured, pace = paced(lambda step, due: 2.0 if due else 1.6, monkeypatch)
    assert pace.every == 9
    assert measured == [*range(0, 34, 2), 36, 45, 54]


def test_the_first_steps_and_single_slow_ones_do_not_count(monkeypatch):
    _, pace = paced(lambda step, due: 50.0 if step < 9 or step % 11 == 0 else 1.0 + 0.3 * due, monkeypatch)
    assert pace.every == 10


def test_timing_may_begin_at_any_step(monkeypatch):
    measured, pace = paced(lambda step, due: 1.0 + 0.3 * due, monkeypatch, n_before=1001)
    assert pace.every == 10 and measured[0] == 1002


def test_what_costs_nothing_is_measured_every_step(monkeypatch):
    measured, pace = paced(lambda step, due: 1.0, monkeypatch)
    assert pace.every == 1 and measured[-2:] == [58, 59]


def test_workers_follow_the_slowest_of_them(monkeypatch):
    _, pace = paced(lambda step, due: 1.0, monkeypatch, agree=lambda added: max(added, 0.6))
    assert pace.every == 20


def test_a_setting_is_never_timed():
    def fail(*_):
        raise AssertionError

    pace = MeasuringPace(7, settle=fail, agree=fail)
    for step in range(100):
        pace.step_ended(step + 1)
    assert pace.every == 7 and pace.due(14) and not pace.due(15)


@pytest.mark.parametrize(("added", "every"), [(-0.2, 1), (0.0, 1), (0.0301, 2), (1e9, RAREST)])
def test_the_number_of_steps_has_limits(added, every):
    assert steps_between(added) == every


def test_the_share_is_that_of_the_median_pair():
    assert added_share([1.1, 1.0, 1.2, 1.0, 7.0, 1.0]) == pytest.approx(0.2)
