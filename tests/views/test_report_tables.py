from dataclasses import replace

import pytest

import findings_cases
from batchlab.views.report_tables import Cell, batch_size_table, current_table, settings_table, trials_table


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


def test_todays_setting_stands_above_the_one_it_is_compared_with():
    table = current_table(findings_cases.with_current())
    assert column(table, "Setting") == [Cell("today's"), Cell("recommended")]
    assert column(table, "Batch size") == [Cell("64"), Cell("32")]
    assert column(table, "Validation error, %") == [Cell("3.59", "3.41–3.77"), Cell("2.38", "2.21–2.55")]
    assert column(table, "Loses in validation error, points") == [Cell("1.21", "0.95–1.47"), Cell("–")]
    assert column(table, "Total time") == [Cell("329 ms"), Cell("464 ms")]


def test_without_a_recommendation_it_is_compared_with_the_best_mean():
    findings = findings_cases.with_current()
    nothing = replace(findings, answer=replace(findings.answer, recommended=None))
    assert column(current_table(nothing), "Setting")[1] == Cell("best mean")


def test_a_setting_without_an_equal_stands_alone():
    findings = findings_cases.with_current()
    alone = replace(findings.current, against_batch_size=None, loses=None)
    table = current_table(replace(findings, current=alone))
    assert [line.cells[0] for line in table.lines] == [Cell("today's")]
    assert "Loses in validation error, points" not in table.headings


def test_a_study_that_was_not_asked_has_no_table_of_todays_setting():
    assert current_table(findings_cases.tied()) is None


def test_settings_name_todays_setting_and_the_micro_batches_where_they_were_given():
    findings = findings_cases.with_current()
    record = findings_cases.record_of(findings)
    rows = dict(settings_table(findings, replace(record, spec=replace(record.spec, micro_batch_size=128))))
    assert rows["Today's setting"] == "batch size 64 at learning rate 0.001"
    assert rows["Micro-batches"] == "at most 128 examples"
    plain = dict(settings_table(findings_cases.tied(), findings_cases.record_of(findings_cases.tied())))
    assert not {"Today's setting", "Micro-batches"} & set(plain)


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


def test_what_was_tuned_beside_the_learning_rate_has_its_columns():
    plain = findings_cases.single()
    settings = (("weight_decay", 3e-4), ("schedule", "cosine"))
    rows = tuple(replace(row, settings=settings) for row in plain.batch_sizes)
    table = batch_size_table(replace(plain, batch_sizes=rows))
    assert (column(table, "Weight decay"), column(table, "Schedule")) == ([Cell("0.0003")], [Cell("cosine")])
