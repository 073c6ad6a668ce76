import io
from dataclasses import replace

from rich.console import Console

import findings_cases
from batchlab.analyze.controls import CONTROLS
from batchlab.analyze.findings import ControlFindings, ControlRow, Estimate
from batchlab.views.control_tables import WORDS, control_parts
from batchlab.views.report import render_report
from batchlab.views.terminal import print_study

ROW = ControlRow(
    label="as many updates as 8",
    batch_size=256,
    learning_rate=0.31,
    n_steps=2695,
    n_seeds=5,
    valid_metric=Estimate(0.03, 0.025, 0.035),
    against_label="as in the study",
    against_batch_size=8,
    loses=Estimate(-0.001, -0.004, 0.002),
    flags=(),
)
SENTENCE = "Equal updates: against batch size 8, 256 gains 0.10 points (−0.20 to 0.40) with 2,695 updates."
FOUND = replace(
    findings_cases.tied(),
    controls=(
        ControlFindings("equal-updates", SENTENCE, None, (ROW, replace(ROW, loses=None, flags=("diverged",)))),
        ControlFindings("noise", "The control noise has not finished; `batchlab resume` goes on.", None, ()),
    ),
)


def test_every_control_has_words_that_say_what_it_is() -> None:
    assert set(WORDS) == set(CONTROLS)


def test_a_control_has_a_table_of_its_arms_and_what_they_lose() -> None:
    equal, noise = control_parts(FOUND)
    assert equal.table is not None and noise.table is None
    assert equal.table.headings[-2:] == ("Loses in validation error, points", "Seeds")
    first, second = ([(cell.text, cell.detail) for cell in line.cells] for line in equal.table.lines)
    assert first[0] == ("256", "")
    assert first[-3:] == [("8", "as in the study"), ("−0.10", "−0.40 to 0.20"), ("5", "")]
    assert second[-2] == ("diverged", "")


def test_the_title_of_a_control_is_not_said_again_in_its_sentence() -> None:
    equal, noise = control_parts(FOUND)
    assert (equal.title, equal.sentence[:26]) == ("Equal updates", "Against batch size 8, 256 ")
    assert noise.sentence.startswith("The control noise has not finished")


def test_the_report_and_the_terminal_say_what_controls_show() -> None:
    page = render_report(FOUND, findings_cases.record_of(FOUND))
    assert "<h2>Controls</h2>" in page and "Against batch size 8, 256 gains" in page
    stream = io.StringIO()
    print_study(FOUND, Console(file=stream, width=200))
    assert SENTENCE in stream.getvalue()
