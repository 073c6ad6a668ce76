import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

import findings_cases
from batchlab.analyze.findings import Estimate, MetricInfo
from batchlab.views import wording

ERROR = MetricInfo("error", False, 0.005)
LOSS = MetricInfo("loss", False, 0.01)


@pytest.mark.parametrize(("metric", "text"), [(ERROR, "3.42 (3.11–3.73)"), (LOSS, "0.03420 (0.03110–0.03730)")])
def test_a_share_is_said_in_per_cent_and_any_other_metric_with_four_digits(metric, text):
    assert wording.format_estimate(Estimate(0.0342, 0.0311, 0.0373), metric) == text


def test_a_negative_limit_is_not_mistaken_for_the_dash_of_the_interval():
    assert wording.format_estimate(Estimate(0.001, -0.002, 0.004), ERROR) == "0.10 (−0.20 to 0.40)"


def test_a_mean_without_interval_stands_alone():
    assert wording.format_estimate(Estimate(0.0342, None, None), ERROR) == "3.42"


@pytest.mark.parametrize("value", [math.nan, math.inf, None])
def test_a_value_that_is_not_there_is_a_dash(value):
    assert wording.format_metric(value, LOSS) == wording.format_learning_rate(value) == wording.MISSING


@given(st.floats(1e-6, 1e7))
def test_a_duration_keeps_three_digits_of_its_seconds(seconds):
    number, unit = wording.format_seconds(seconds).split()
    unit_s = {"µs": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}[unit]
    assert math.isclose(float(number) * unit_s, seconds, rel_tol=0.0051)


def _row(case, batch_size):
    findings = findings_cases.CASES[case]()
    return next(row for row in findings.batch_sizes if row.batch_size == batch_size), findings.answer


@pytest.mark.parametrize(
    ("case", "batch_size", "words"),
    [
        ("tied", 32, "best"),
        ("tied", 16, "ties"),
        ("tied", 8, "worse"),
        ("underpowered", 128, "undecided"),
        ("wide", 65536, "diverged"),
        ("no-signal", 8, "not ranked"),
    ],
)
def test_each_batch_size_has_the_place_the_answer_gives_it(case, batch_size, words):
    assert wording.place(*_row(case, batch_size)) == words


def test_a_size_at_which_some_trials_diverged_is_called_diverged_though_others_have_a_mean():
    row, answer = _row("tied", 256)
    assert wording.place(replace(row, flags=("worse", "diverged")), answer) == "diverged"


def test_a_failed_tuning_trial_does_not_change_a_place():
    row, answer = _row("tied", 16)
    assert wording.place(replace(row, flags=("failed",)), answer) == "ties"


@pytest.mark.parametrize(
    ("case", "words"),
    [
        ("resolved", "32 is best"),
        ("tied", "32 is best; 16 and 64 tie"),
        ("underpowered", "32 is best; 64 ties; 16 and 128 undecided"),
        ("edge-of-range", "512 is best, at the edge of what was tried"),
        ("no-signal", "no signal: no batch size beats a constant guess"),
    ],
)
def test_a_verdict_fits_into_a_few_words(case, words):
    assert wording.verdict_words(findings_cases.CASES[case]().answer) == words


def test_differing_numbers_of_seeds_are_said_as_a_range():
    findings = findings_cases.tied()
    rows = (replace(findings.batch_sizes[0], n_seeds=2), *findings.batch_sizes[1:])
    assert wording.seeds_words(replace(findings, batch_sizes=rows)) == "2 to 5 seeds"


@pytest.mark.parametrize(
    ("splits", "text"),
    [
        ({512: (128, 4)}, "512 ran as 4 micro-batches of 128"),
        ({8: (8, 1), 300: (128, 3)}, "300 ran as 3 micro-batches of up to 128"),
        ({8: (8, 1)}, ""),
    ],
)
def test_accumulation_is_said_of_the_sizes_that_were_split(splits, text):
    row = findings_cases.tied().batch_sizes[0]
    rows = [
        replace(row, batch_size=size, micro_batch_size=micro, gradient_accumulation_steps=steps)
        for size, (micro, steps) in splits.items()
    ]
    assert wording.accumulation_words(rows) == text
