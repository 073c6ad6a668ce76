from dataclasses import replace

import pytest

from batchlab.analyze.current_sentence import current_sentence
from batchlab.analyze.findings import CurrentRow, Estimate, MetricInfo

ERROR = MetricInfo("error", False, 0.005)
ROW = CurrentRow(
    batch_size=64,
    learning_rate=0.001,
    n_seeds=5,
    n_steps=100,
    micro_batch_size=64,
    gradient_accumulation_steps=1,
    valid_metric=Estimate(0.031, 0.029, 0.033),
    test_metric=None,
    train_metric=None,
    step_time_s=None,
    seconds=None,
    against_batch_size=32,
    against_learning_rate=0.0529,
    loses=Estimate(0.0121, 0.0095, 0.0147),
    time_ratio=None,
    sentence="",
    flags=("worse",),
)


def said(metric: MetricInfo = ERROR, recommended: bool = True, **changes: object) -> str:
    """Return the sentence of a row that differs from the plain one."""
    return current_sentence(replace(ROW, **changes), metric, n_trained=5, is_recommended=recommended)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({}, "Today's 64 at lr 0.001 loses 1.21 points (0.95 to 1.47) of validation error against 32 at 0.0529."),
        (
            {"recommended": False},
            "Today's 64 at lr 0.001 loses 1.21 points (0.95 to 1.47) of validation error against 32 at 0.0529 (the "
            "best mean).",
        ),
        (
            {"metric": MetricInfo("loss", False, 0.05), "loses": Estimate(0.0346, 0.02, 0.0491)},
            "Today's 64 at lr 0.001 loses 0.0346 (0.02 to 0.0491) of validation loss against 32 at 0.0529.",
        ),
        (
            {"flags": ("better",), "loses": Estimate(-0.004, -0.0061, -0.002)},
            "Today's 64 at lr 0.001 is better than 32 at 0.0529 by 0.40 points (0.20 to 0.61) of validation error.",
        ),
        (
            {"flags": ("within_margin",), "loses": Estimate(-0.001, -0.0041, 0.002)},
            "Today's 64 at lr 0.001 does as well as 32 at 0.0529: the difference of 0.10 points of validation error is "
            "within the margin of 0.5 points.",
        ),
        (
            {"flags": ("worse", "within_margin"), "loses": Estimate(0.002, 0.001, 0.003)},
            "Today's 64 at lr 0.001 does as well as 32 at 0.0529: the difference of 0.20 points of validation error is "
            "within the margin of 0.5 points.",
        ),
        (
            {"flags": ("undecided",), "loses": Estimate(0.001, -0.003, 0.007)},
            "Today's 64 at lr 0.001 cannot be told from 32 at 0.0529 yet: it loses 0.10 points (-0.30 to 0.70) of "
            "validation error.",
        ),
        (
            {"flags": ("undecided",), "loses": Estimate(-0.001, -0.005, 0.003)},
            "Today's 64 at lr 0.001 cannot be told from 32 at 0.0529 yet: it gains 0.10 points (-0.30 to 0.50) of "
            "validation error.",
        ),
        (
            {"flags": ("too_few_seeds",), "loses": Estimate(0.0121, None, None)},
            "Today's 64 at lr 0.001 has a validation error 1.21 points worse than 32 at 0.0529, on too few seeds to "
            "compare.",
        ),
        (
            {"flags": ("too_few_seeds",), "loses": Estimate(-0.0121, None, None)},
            "Today's 64 at lr 0.001 has a validation error 1.21 points better than 32 at 0.0529, on too few seeds to "
            "compare.",
        ),
        (
            {"flags": ("diverged",), "loses": None, "n_seeds": 2},
            "Today's 64 at lr 0.001 diverged in 3 of 5 seeds, so it counts as worse than 32 at 0.0529.",
        ),
        (
            {
                "flags": ("diverged",),
                "loses": None,
                "n_seeds": 0,
                "against_batch_size": None,
                "against_learning_rate": None,
            },
            "Today's 64 at lr 0.001 diverged in 5 of 5 seeds.",
        ),
        (
            {"flags": (), "loses": None, "against_batch_size": None, "against_learning_rate": None},
            "Today's 64 at lr 0.001 has a validation error of 3.10%; there is nothing to compare it with yet.",
        ),
        ({"flags": ("same",)}, "Today's 64 at lr 0.001 is the recommended setting."),
        ({"flags": ("same",), "recommended": False}, "Today's 64 at lr 0.001 is the setting with the best mean."),
    ],
)
def test_each_outcome_has_its_sentence(changes: dict[str, object], sentence: str) -> None:
    assert said(**changes) == sentence  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("flag", "ratio", "end"),
    [
        ("worse", 1.8, "against 32 at 0.0529, and takes 1.8 times as long."),
        ("worse", 12.4, "against 32 at 0.0529, and takes 12 times as long."),
        ("worse", 0.56, "against 32 at 0.0529, but takes 56% of its time."),
        ("worse", 0.0042, "against 32 at 0.0529, but takes 0.42% of its time."),
        ("worse", 1.04, "against 32 at 0.0529."),
        ("worse", 0.97, "against 32 at 0.0529."),
        ("undecided", 2.0, "of validation error, and takes 2.0 times as long."),
    ],
)
def test_the_sentence_ends_with_the_time_where_it_matters(flag: str, ratio: float, end: str) -> None:
    assert said(flags=(flag,), time_ratio=ratio).endswith(end)


def test_a_better_setting_that_is_slower_has_a_but() -> None:
    sentence = said(flags=("better",), loses=Estimate(-0.004, -0.006, -0.002), time_ratio=3.0)
    assert sentence.endswith("of validation error, but takes 3.0 times as long.")


def test_the_time_of_one_that_does_as_well_comes_before_the_reason() -> None:
    sentence = said(flags=("within_margin",), loses=Estimate(0.001, -0.002, 0.004), time_ratio=1.8)
    assert sentence.startswith("Today's 64 at lr 0.001 does as well as 32 at 0.0529, and takes 1.8 times as long: the ")
