from dataclasses import replace

import findings_cases
from batchlab.analyze.findings import BestOf
from batchlab.views.figure_data import expected_best


def found(*curves: tuple[int, tuple[float, ...]]):
    """Return what is drawn of these expected errors, by batch size."""
    best = tuple(BestOf(size, tuple(range(1, 1 + len(values))), values) for size, values in curves)
    return expected_best(replace(findings_cases.tied(), expected_best=best))


def test_each_batch_size_is_a_line_in_per_cent_over_the_rates_tried() -> None:
    data = found((8, (0.05, 0.04)), (32, (0.06, 0.03)))
    assert [(line.batch_size, line.x, line.mean) for line in data.lines] == [
        (8, (1, 2), (5.0, 4.0)),
        (32, (1, 2), (6.0, 3.0)),
    ]
    assert (data.x_label, data.y_label) == ("Learning rates tried", "Expected best validation error")
    assert [line.highlighted for line in data.lines] == [False, True]


def test_the_title_says_who_is_ahead_after_little_search_and_after_all_of_it() -> None:
    assert found((8, (0.05, 0.03, 0.03)), (32, (0.09, 0.05, 0.02))).title == (
        "With 2 learning rates tried batch size 8 is ahead, with 3 of them 32"
    )
    assert found((8, (0.05, 0.03)), (32, (0.09, 0.05))).title == (
        "Batch size 8 is ahead with little search as with all of it"
    )


def test_without_a_search_nothing_is_drawn() -> None:
    assert found() is None
