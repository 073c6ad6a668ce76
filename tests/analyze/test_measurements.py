import pytest

import measurement_cases as cases
from batchlab.analyze.measurements import answer_of, confidence_of, say_noise_scale
from batchlab.numerics.noise_scale import estimate_noise_scale

NOTHING = estimate_noise_scale([1.0, -1.0], [1.0, -1.0])


@pytest.mark.parametrize(
    ("batch_size", "words"),
    [
        (8, "the batch size trained with, 8, is below it, so a step's gradient is mostly noise."),
        (50, "the batch size trained with, 50, is about as large as it."),
        (900, "the batch size trained with, 900, is above it, so a step's gradient is mostly signal."),
    ],
)
def test_the_answer_compares_the_batch_size_with_the_noise_scale(batch_size, words):
    found = answer_of((cases.checkpoint(10),), batch_size, "example")
    assert (
        found == f"The gradient noise scale at the end of this run (10 steps) is 51.4 (47.4 to 55.9) examples; {words}"
    )


def test_an_unresolved_noise_scale_is_no_answer():
    assert answer_of((cases.checkpoint(10, NOTHING),), 32, "example") == (
        "The gradient noise scale at the end of this run (10 steps) is not resolved: more blocks are needed than were "
        "drawn."
    )


@pytest.mark.parametrize(
    ("first", "last", "words"),
    [
        (50, 400, "it rose while training"),
        (400, 50, "it fell while training"),
        (50, 51, "whether it moved is not resolved"),
    ],
)
def test_the_second_line_says_how_it_moved(first, last, words):
    found = confidence_of((cases.checkpoint(10, cases.noise(first)), cases.checkpoint(500, cases.noise(last))))
    assert found.startswith(
        "95% Fieller interval over 12 blocks (3,072 examples) at one checkpoint of one run; at step"
    )
    assert found.endswith(f": {words}.")


def test_one_checkpoint_shows_no_trend():
    expected = "95% Fieller interval over 12 blocks (3,072 examples) at one checkpoint of one run."
    assert confidence_of((cases.checkpoint(10),)) == expected


def test_what_has_no_upper_end_is_said_to_be_above():
    assert say_noise_scale(cases.WEAK) == "above 11" and say_noise_scale(NOTHING) == "not resolved"
