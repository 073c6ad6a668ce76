import math

import pytest

from batchlab.analyze.findings import Estimate, MetricInfo
from batchlab.analyze.target_findings import TargetRun, TradeOffFindings
from batchlab.analyze.target_sentences import missed_sentence, say_target, time_sentence, tradeoff_sentences
from batchlab.analyze.tradeoff import DEFINITION
from batchlab.numerics.tradeoff import Region

SIZES = (8, 16, 32, 64, 128, 256, 512)
SECONDS = {size: Estimate(1.0 + size / 64, None, None) for size in SIZES}


def tradeoff(
    critical: float, low: float, high: float, *flags: str, regions: tuple[float, float] | None = None
) -> TradeOffFindings:
    """Return a trade-off with these limits."""
    first, second = regions or (critical / 4, 4 * critical)
    return TradeOffFindings(
        critical_batch_size=critical,
        low=low,
        high=high,
        level=0.95,
        definition=DEFINITION,
        steps_min=100.0,
        examples_min=100 * critical,
        overhead=0.2,
        overhead_batch_size=critical / 5,
        sd=0.1,
        shape_p_value=0.0123,
        n=35,
        n_censored=0,
        left_out=(),
        regions=(
            Region("perfect scaling", 0.0, first, 0.0, 0.25),
            Region("diminishing returns", first, second, 0.25, 4.0),
            Region("maximal parallelism", second, math.inf, 4.0, math.inf),
        ),
        curve=(),
        flags=flags,
    )


@pytest.mark.parametrize(
    ("critical", "expected"),
    [
        (64, "nearly halves the steps up to about 16; beyond about 260 it saves a tenth of them at most."),
        (256, "nearly halves the steps up to about 64 and less and less from there to 512, the largest tried."),
        (4096, "nearly halves the steps at all sizes tried, 8 to 512."),
        (1, "saves hardly any steps at all sizes tried, 8 to 512."),
        (16, "saves clearly less than half of the steps from 8 on; beyond about 64 it saves a tenth of them at most."),
    ],
)
def test_what_a_larger_batch_saves_is_said_within_the_sizes_tried(critical: float, expected: str) -> None:
    first = tradeoff_sentences(tradeoff(critical, critical / 2, critical * 2), "error 5%", SIZES)[0]
    assert first == f"To reach error 5%, twice the batch {expected}"


def test_no_bound_on_the_saving_is_claimed_where_the_curve_does_not_fit() -> None:
    first = tradeoff_sentences(tradeoff(64, 32, 128, "shape_rejected"), "error 5%", SIZES)[0]
    assert first.endswith("; beyond about 260 it saves hardly any.")


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (
            tradeoff(256.3, 181.0, 362.0),
            "Critical batch size 260 (95% interval 180 to 360), where steps and examples are both twice their least; "
            "examples exceed their least by 20% at 51.",
        ),
        (
            tradeoff(900.0, 310.0, math.inf),
            "The critical batch size is at least 310 (95%); larger sizes would say more.",
        ),
        (tradeoff(9.0, 0.0, 14.0), "The critical batch size is at most 14 (95%); smaller sizes would say more."),
        (
            tradeoff(64.0, 0.0, math.inf),
            "The sizes tried give the critical batch size no limits; a wider range of them would.",
        ),
        (
            tradeoff(64.0, 0.0, math.inf, "noise_unknown"),
            "More seeds would give the critical batch size limits.",
        ),
        (
            tradeoff(64.0, 50.0, 80.0, "shape_rejected"),
            "The usual curve does not fit here (p = 0.012), so there is no critical batch size; as measured, examples "
            "exceed those of 8 by 20% at about 13.",
        ),
        (
            tradeoff(math.inf, 50.0, math.inf, "shape_rejected", regions=(16, 128)),
            "The usual curve does not fit here (p = 0.012), so there is no critical batch size; as measured, examples "
            "exceed those of 8 by 20% at no size up to 512, the largest tried.",
        ),
    ],
)
def test_the_critical_batch_size_is_said_as_far_as_it_is_known(found: TradeOffFindings, expected: str) -> None:
    assert tradeoff_sentences(found, "error 5%", SIZES)[1] == expected


@pytest.mark.parametrize(
    ("as_fast", "rest"),
    [
        ((16, 32), "; 16 and 32 are not shown to be slower."),
        ((16,), "; 16 is not shown to be slower."),
        ((), "; every other size is slower."),
        (None, "; too few of its seeds got there to say that others are slower."),
    ],
)
def test_the_fastest_size_is_named_with_those_not_shown_slower(as_fast: tuple[int, ...] | None, rest: str) -> None:
    said = time_sentence("loss 1.2", "cuda:0", SECONDS, 8, as_fast)
    assert said == f"Fastest to loss 1.2 on this cuda: batch size 8, 1.12 s of training alone{rest}"


def test_a_time_with_an_interval_is_said_with_it() -> None:
    said = time_sentence("loss 1.2", "cpu", {8: Estimate(0.5, 0.4, 0.625)}, 8, ())
    assert said == "Fastest to loss 1.2 on this cpu: batch size 8, 500 ms (400 ms to 625 ms) of training alone."


def test_sizes_that_did_not_get_there_are_named() -> None:
    assert missed_sentence("error 5%", (256, 512), SIZES) == (
        "Within the budget 256 and 512 did not reach error 5% in most seeds."
    )
    assert missed_sentence("error 5%", SIZES, SIZES) == (
        "No batch size reached error 5% within the budget in most of its seeds."
    )


@pytest.mark.parametrize(
    ("metric", "target", "said"),
    [("error", 0.05, "error 5%"), ("accuracy", 0.985, "accuracy 98.5%"), ("loss", 1.25, "loss 1.25")],
)
def test_targets_are_said_in_the_unit_people_use(metric: str, target: float, said: str) -> None:
    assert say_target(MetricInfo(metric, False, 0.01), target) == said


def test_runs_are_plain_data() -> None:
    assert TargetRun(8, 0, "reached", 1.0, 2.0, 1.4) == TargetRun(8, 0, "reached", 1.0, 2.0, 1.4)
