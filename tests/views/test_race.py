import functools
import io

from rich.console import Console

from batchlab.analyze.findings import StudyFindings
from batchlab.analyze.study import analyze_study
from batchlab.records import StudyRecord
from batchlab.views.repeat import repeat_command
from batchlab.views.report import render_report
from batchlab.views.terminal import print_study
from race_cases import finished, soft


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
    assert "the best rate goes with the batch size to the power" in page
    assert 'id="plot-metric"' not in page and 'id="plot-budgets"' not in page
    assert 'id="plot-target"' in page
    assert "margin of 5% of the seconds" in page


def test_a_race_is_repeated_as_a_race() -> None:
    assert "--search model --confirm contenders" in repeat_command(record())
