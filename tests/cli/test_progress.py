import io

import pytest
from rich.console import Console

from batchlab.cli.progress import PlainLines, clock_time, draw_bar, open_progress
from batchlab.studies.progress import ProgressState, Quiet

STATE = ProgressState("digits", "tuning", 12, 90, ("32@0.1", "64@0.2"), "batch size 32: error 0.02", 31.0, 200.0)
START = ProgressState("digits", "tuning", 0, 0, (), None, 0.0, None)


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


def drawn(state, width=100):
    stream = io.StringIO()
    Console(file=stream, width=width).print(draw_bar(state))
    return stream.getvalue()


def test_a_line_says_stage_trials_time_and_best():
    stream = io.StringIO()
    PlainLines(stream).update(STATE)
    assert stream.getvalue() == (
        "digits: tuning learning rates, 12 of about 90 trials, 0:31, about 3:20 left; best so far batch size 32: error "
        "0.02\n"
    )


def test_lines_are_seconds_apart():
    stream, clock = io.StringIO(), Clock()
    lines = PlainLines(stream, clock)
    for _ in range(100):
        lines.update(STATE)
        clock.now += 0.1
    assert stream.getvalue().count("\n") == 2


def test_a_new_stage_is_told_at_once():
    stream = io.StringIO()
    lines = PlainLines(stream, Clock())
    for stage in ("tuning", "tuning", "confirming", "timing"):
        lines.update(ProgressState("digits", stage, 1, 2, (), None, 1.0, None))
    assert stream.getvalue().splitlines() == [
        "digits: tuning learning rates, 1 of about 2 trials, 0:01",
        "digits: comparing batch sizes, 1 of 2 trials, 0:01",
        "digits: timing steps, 1 of 2 trials, 0:01",
    ]


def test_a_notice_is_a_line_of_its_own():
    stream = io.StringIO()
    PlainLines(stream, Clock()).notice("A trial failed.")
    assert stream.getvalue() == "A trial failed.\n"


def test_the_bar_shows_trials_times_what_runs_and_what_is_best():
    text = drawn(STATE)
    for words in ("digits", "12 of about 90 trials", "about 3:20 left", "best so far batch size 32", "32@0.1, 64@0.2"):
        assert words in text


@pytest.mark.parametrize("width", [20, 40, 80])
def test_the_bar_can_be_drawn_before_anything_is_known(width):
    assert drawn(START, width)


@pytest.mark.parametrize(("seconds", "text"), [(0, "0:00"), (59.6, "1:00"), (3599, "59:59"), (7325, "2:02:05")])
def test_durations_read_as_clocks(seconds, text):
    assert clock_time(seconds) == text


def test_quiet_shows_nothing(capsys):
    with open_progress(quiet=True) as progress:
        progress.update(STATE)
        progress.notice("A trial failed.")
    assert isinstance(progress, Quiet)
    assert capsys.readouterr() == ("", "")


def test_without_a_terminal_progress_goes_to_stderr_as_lines(capsys):
    with open_progress(quiet=False) as progress:
        progress.update(START)
    assert capsys.readouterr() == ("", "digits: tuning learning rates, 0 of about 0 trials, 0:00\n")


def test_in_a_terminal_the_bar_is_gone_in_the_end_and_stdout_untouched(monkeypatch, capsys):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    with open_progress(quiet=False) as progress:
        progress.update(STATE)
        progress.notice("A trial [failed].")
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "A trial [failed]." in printed.err
