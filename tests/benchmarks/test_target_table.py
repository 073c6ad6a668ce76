import dataclasses
import math
from pathlib import Path

import pytest

from target_cases import CASES, TargetCase
from target_table import ExhaustiveTable, StepSeconds, TargetRun, complete_tables, load_table, save_table

CASE = TargetCase("tiny", 0.1, 100, 2, 0.1, (8, 32), octaves=(0, 1))
TIMES = StepSeconds({8: 1.0, 32: 2.0}, most_threads=1, provisional=True)
SLOW, FAST = (8, 0.05), (32, 0.1)


def reached(examples: float) -> TargetRun:
    return TargetRun("reached", 0.8 * examples, 1.1 * examples, examples)


def table() -> ExhaustiveTable:
    cells = {
        SLOW: (reached(50), reached(70)),
        FAST: (reached(80), reached(100)),
        (8, 0.1): (reached(10), TargetRun("not_reached", 200)),
        (32, 0.2): (TargetRun("diverged", 64), TargetRun("not_reached", 192)),
    }
    return ExhaustiveTable(CASE, {"date": "2026-01-01"}, TIMES, cells, {SLOW: (reached(60),), FAST: (reached(90),)})


def test_a_run_is_charged_to_its_crossing_or_to_its_end() -> None:
    charged = 1.1 * (50 + 70 + 80 + 100 + 10) + 200 + 64 + 192
    assert table().spent == pytest.approx(charged)


def test_the_best_cell_depends_on_what_is_counted() -> None:
    found = table()
    assert (found.best("examples"), found.best("time")) == (SLOW, FAST)
    assert (found.ranked("examples"), found.ranked("time")) == ([SLOW, FAST], [FAST, SLOW])


def test_a_cell_of_which_one_seed_missed_the_target_is_not_ranked() -> None:
    assert (8, 0.1) not in table().ranked("examples")


def test_seconds_are_steps_times_the_seconds_of_a_step() -> None:
    assert table().costs("time", FAST, [reached(320), TargetRun("not_reached", 200)]) == [20.0, math.inf]


def test_times_without_step_seconds_say_what_to_run() -> None:
    without = dataclasses.replace(table(), step_seconds=None)
    with pytest.raises(ValueError, match=r"^Times need the seconds of a step, which this table has not; run `--times`"):
        without.ranked("time")


def test_seconds_of_a_step_are_interpolated_and_beyond_the_largest_size_grow_with_it() -> None:
    assert [TIMES.at(size) for size in (1, 8, 16, 32, 64)] == pytest.approx([1, 1, math.sqrt(2), 2, 4])


def test_a_table_comes_back_as_it_was_stored(tmp_path: Path) -> None:
    save_table(table(), tmp_path)
    assert load_table(CASE, tmp_path) == table()


def test_a_table_of_another_target_is_refused(tmp_path: Path) -> None:
    save_table(table(), tmp_path)
    with pytest.raises(
        ValueError, match=r"^The table of tiny must be of .*'target': 0.2.*, got .*'target': 0.1.*; rem"
    ):
        load_table(dataclasses.replace(CASE, target=0.2), tmp_path)


def test_learning_rates_move_with_the_square_root_of_the_batch_size() -> None:
    case = CASES["digits-mlp"]
    assert [case.learning_rate(size, 0) for size in (8, 32, 128)] == [0.025, 0.05, 0.1]


@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
def test_a_box_has_at_least_eight_batch_sizes_and_ten_learning_rates_at_each(case: TargetCase) -> None:
    assert len(case.batch_sizes) >= 8
    assert len(set(case.cells())) == len(case.batch_sizes) * len(case.octaves) >= 80


def test_tables_that_are_not_complete_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole, runs = table(), (reached(50),)
    whole.cells = dict.fromkeys(CASE.cells(), runs)
    save_table(whole, tmp_path)
    missing = dataclasses.replace(CASE, workload="missing")
    assert [found.case for found in complete_tables([CASE, missing], tmp_path)] == [CASE]
    assert capsys.readouterr().out == (
        "missing is left out, as its table is not complete: run exhaustive_table.py missing\n"
    )


def test_a_table_is_not_complete_while_a_cell_is_missing(tmp_path: Path) -> None:
    part = table()
    del part.cells[SLOW]
    assert not part.is_complete
