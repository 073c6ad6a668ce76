import pytest

from batchlab.analyze.contest import Outcome
from batchlab.analyze.findings import MetricInfo, Recommended
from batchlab.analyze.sentences import answer_sentence, confidence_sentence, recommend
from batchlab.numerics.intervals import Interval

METRIC = MetricInfo("error", False, 0.005)
VALUE = Interval(0.021, 0.019, 0.023)


def outcome(verdict: str, **roles: object) -> Outcome:
    """Return an outcome in which 64 is best."""
    return Outcome(verdict, 64, VALUE, 0.9, 10, **roles)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("found", "first", "second"),
    [
        (
            outcome("resolved", worse=(32, 128)),
            "Use batch size 64 with learning rate 0.1: its validation error of 2.10% is better than at every other "
            "size compared.",
            "How sure: 10 paired seeds a size, 95% interval of the best 1.90% to 2.30%; 32 and 128 are worse.",
        ),
        (
            outcome("resolved", worse=(32, 128), worse_within_margin=(128,)),
            "Use batch size 64 with learning rate 0.1: its validation error of 2.10% is better than at every other "
            "size compared.",
            "How sure: 10 paired seeds a size, 95% interval of the best 1.90% to 2.30%; 32 and 128 are worse (128 by "
            "less than 0.5 points).",
        ),
        (
            outcome("tied", tied=(128,), worse=(32,)),
            "Use batch size 128 with learning rate 0.2: it ties with the best, 64, and trains faster (validation error "
            "2.10% at 64).",
            "How sure: 10 paired seeds a size, 95% interval of the best 1.90% to 2.30%; 128 equals the best, 64, "
            "within 0.5 points; 32 is worse.",
        ),
        (
            outcome("underpowered", undecided=(32,), seeds_needed=40),
            "Use batch size 64 with learning rate 0.1: its validation error of 2.10% is the best measured; 32 "
            "cannot be told from it yet.",
            "How sure: 10 paired seeds a size, 95% interval of the best 1.90% to 2.30%; 32 undecided; about 40 seeds "
            "would settle it within 0.5 points.",
        ),
        (
            outcome("edge-of-range", worse=(32,), reasons=("largest",)),
            "Use batch size 64 with learning rate 0.1 for now: the only best size, 64, is the largest tried, so a "
            "better setting may lie beyond what was tried.",
            "How sure: 10 paired seeds a size, 95% interval of the best 1.90% to 2.30%; 32 is worse.",
        ),
        (
            outcome("no-signal", undecided=(32, 64)),
            "No batch size can be recommended: at none is the validation error (2.10% at best) shown to be better than "
            "that of always predicting the same (90.00%).",
            "How sure: 10 paired seeds a size, 95% interval of the best 1.90% to 2.30%; more seeds, more data or "
            "another model may show one.",
        ),
    ],
)
def test_the_two_sentences_of_each_verdict(found: Outcome, first: str, second: str) -> None:
    recommended = recommend(found, {32: 0.05, 64: 0.1, 128: 0.2}, {32: 4.0, 64: 2.0, 128: 1.0})
    assert answer_sentence(found, recommended, METRIC) == first
    assert confidence_sentence(found, METRIC, 0.95) == second


def test_one_seed_of_one_size_is_a_sentence_too() -> None:
    found = Outcome("underpowered", 64, Interval(0.021, None, None), 0.9, 1)
    sentence = answer_sentence(found, Recommended(64, 0.1, ""), METRIC)
    assert sentence == (
        "Use batch size 64 with learning rate 0.1 for now: its validation error of 2.10% is the best measured, on too "
        "few seeds to compare."
    )
    assert confidence_sentence(found, METRIC, 0.95) == "How sure: 1 seed a size, too few for an interval."


def test_undecided_sizes_are_not_recommended_however_cheap() -> None:
    found = outcome("underpowered", undecided=(128,))
    recommended = recommend(found, {64: 0.1, 128: 0.2}, {64: 2.0, 128: 1.0})
    assert recommended is not None and recommended.batch_size == 64


def test_without_step_times_the_best_is_recommended() -> None:
    recommended = recommend(outcome("tied", tied=(128,)), {64: 0.1, 128: 0.2}, {64: 2.0, 128: None})
    assert recommended is not None and recommended.batch_size == 64
