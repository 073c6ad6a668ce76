import dataclasses
import functools
import io

from rich.console import Console

from batchlab.analyze.findings import StudyFindings
from batchlab.analyze.study import analyze_study
from batchlab.records import StudyRecord
from batchlab.views.figure_data import ScoutingMap, ScoutingMark, scouting_map
from batchlab.views.figures import draw_scouting_map
from batchlab.views.repeat import repeat_command
from batchlab.views.report import render_report
from batchlab.views.terminal import print_study
from race_cases import SIZES, finished, soft


@functools.cache
def record() -> StudyRecord:
    return finished(soft())


@functools.cache
def findings() -> StudyFindings:
    return analyze_study(record())


def test_the_terminal_says_what_decided_a_race_and_nothing_of_other_budgets() -> None:
    console = Console(width=160, file=io.StringIO())
    print_study(findings(), console)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "Ties: equivalent to the best within 5% of the seconds." in text
    assert "Decided by the seconds to the" in text
    assert "Under equal" not in text


def test_the_report_of_a_race_has_the_exponent_and_no_figure_of_the_metric() -> None:
    page = render_report(findings(), record())
    assert "The best learning rate grows as batch size to the power" in page and 'id="plot-scouting"' in page
    assert "A curve ends where its first seed was at the target or diverged" in page
    assert 'id="plot-metric"' not in page and 'id="plot-budgets"' not in page
    assert 'id="plot-target"' in page
    assert "margin of 5% of the seconds" in page
    n_seeds = len({one.settings.seed for one in record().trials if one.settings.purpose == "tune"})
    assert n_seeds > 2 and f"5 to compare, {n_seeds} to tune" in page


def test_a_race_is_repeated_as_a_race() -> None:
    assert "--search model --confirm contenders" in repeat_command(record())


def test_the_map_of_scouting_has_a_mark_a_trial_and_a_rate_a_size() -> None:
    found = findings().race
    data = scouting_map(findings())
    assert data is not None and found is not None
    assert len(data.marks) == found.n_scouting and {rate.batch_size for rate in data.optima} == set(SIZES)
    for size in SIZES:
        own = [mark for mark in data.marks if mark.batch_size == size]
        assert min((mark.ratio for mark in own if mark.ratio is not None and mark.reached), default=1.0) == 1.0
        rate = next(one for one in data.optima if one.batch_size == size)
        assert rate.low < rate.learning_rate < rate.high
    assert not data.title.startswith("No clear trend") and f"{found.n_scouting} scouting trials" in data.caption


def test_trials_that_ended_before_the_target_are_drawn_open_and_diverged_ones_crossed() -> None:
    marks = (
        ScoutingMark(8, 0.1, 1.0, True, False),
        ScoutingMark(8, 0.2, 3.0, True, False),
        ScoutingMark(16, 0.1, None, False, False),
        ScoutingMark(16, 0.4, None, False, True),
    )
    traces = {one.name: one for one in draw_scouting_map(ScoutingMap("t", "c", marks, ())).data}
    assert set(traces) == {"up to 1.1 times", "above 2 times", "ended before", "diverged"}
    assert traces["ended before"].marker.symbol == "circle-open"
    assert list(traces["above 2 times"].text) == [
        "batch size 8, learning rate 0.2<br>3.00 times the fewest examples at this batch size"
    ]


def test_a_study_that_is_no_race_has_no_such_map() -> None:
    assert scouting_map(dataclasses.replace(findings(), race=None)) is None
