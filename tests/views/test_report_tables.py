import pytest

import findings_cases
from batchlab.views.report_tables import Cell, batch_size_table, settings_table, trials_table


def column(table, heading):
    index = table.headings.index(heading)
    return [line.cells[index] for line in table.lines]


def test_a_mean_stands_above_its_interval():
    table = batch_size_table(findings_cases.tied())
    assert column(table, "Validation error, %")[2] == Cell("2.41", "2.24–2.58")


def test_the_recommended_size_is_marked_beside_its_place():
    table = batch_size_table(findings_cases.tied())
    assert column(table, "Compared")[2:4] == [Cell("best"), Cell("ties", "recommended")]


def test_columns_without_any_value_are_left_out():
    assert batch_size_table(findings_cases.single()).headings == (
        *("Batch size", "Compared", "Validation error, %", "Learning rate", "Updates", "Seeds", "Remarks"),
    )


def test_accumulation_is_shown_only_where_there_is_any():
    assert "Micro-batches" not in batch_size_table(findings_cases.tied()).headings
    assert column(batch_size_table(findings_cases.wide()), "Micro-batches")[-1] == Cell("16 × 4096")


@pytest.mark.parametrize("case", findings_cases.CASES)
def test_every_line_has_a_cell_under_every_heading(case):
    findings = findings_cases.CASES[case]()
    for table in (batch_size_table(findings), trials_table(findings, findings_cases.record_of(findings))):
        assert {len(line.cells) for line in table.lines} == {len(table.headings)} == {len(table.numeric)}


def test_every_trial_has_its_line_and_a_failed_one_its_message():
    findings = findings_cases.tied()
    record = findings_cases.record_of(findings)
    table = trials_table(findings, record)
    assert len(table.lines) == len(record.trials)
    assert (table.lines[-1].kind, table.lines[-1].cells[-1]) == ("failed", Cell("RuntimeError: <boom> & gone"))


def test_a_loss_that_is_also_the_metric_is_told_from_the_training_objective():
    findings = findings_cases.wide()
    headings = trials_table(findings, findings_cases.record_of(findings)).headings
    assert len(set(headings)) == len(headings)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("Budget", "20 epochs for every batch size"),
        ("Optimizer", "sgd (momentum=0.9)"),
        ("Learning rate", "searched at every batch size, beginning around 0.1 at batch size 32"),
        ("Schedule", "cosine, warm-up over 5% of the examples"),
        ("Margin, level", "0.5 points, 95%"),
        ("Trials", "86 done, 12 diverged; took 6.88 min"),
        ("Versions", "batchlab 0.1.0, python 3.11.9, torch 2.13.0, numpy 2.2.0"),
    ],
)
def test_settings_say_what_it_takes_to_repeat_the_study(name, text):
    findings = findings_cases.tied()
    assert dict(settings_table(findings, findings_cases.record_of(findings)))[name] == text
