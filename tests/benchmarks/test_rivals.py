import math
from collections.abc import Callable
from importlib.util import find_spec

import pytest

from rivals import ExampleCost, Found, RunCell, fastest_per_example, random_search, tpe_search
from target_cases import TargetCase
from target_table import Cell, TargetRun

Search = Callable[[TargetCase, RunCell, ExampleCost, float, int], Found]
CASE = TargetCase("tiny", 0.1, 1000, 2, 0.1, (8, 32, 128))
NEEDS_OPTUNA = pytest.mark.skipif(find_spec("optuna") is None, reason="needs Optuna: pip install 'batchlab[bench]'")
SEARCHES = pytest.mark.parametrize("search", [random_search, pytest.param(tpe_search, marks=NEEDS_OPTUNA)])


def on_a_bowl(seen: list[Cell]) -> RunCell:
    """Return runs that need least at batch size 32, one octave above the center, and miss the target far from it."""

    def run(cell: Cell) -> TargetRun:
        seen.append(cell)
        octave = math.log2(cell[1] / CASE.learning_rate(cell[0], 0))
        examples = 200 * 2 ** (abs(octave - 1) + abs(math.log2(cell[0] / 32)))
        return TargetRun("reached", 0, examples, examples) if examples < 1000 else TargetRun("not_reached", 2000)

    return run


def alike(size: float) -> float:
    return 1.0


@SEARCHES
def test_a_search_ends_with_the_trial_that_spends_the_budget(search: Search) -> None:
    seen: list[Cell] = []
    found = search(CASE, on_a_bowl(seen), alike, 20_000.0, 0)
    spent = [on_a_bowl([])(cell).spent for cell in seen]
    assert found.spent == pytest.approx(sum(spent)) and found.n_trials == len(seen)
    assert sum(spent[:-1]) < 20_000 <= found.spent


@SEARCHES
def test_a_search_returns_the_best_it_saw(search: Search) -> None:
    seen: list[Cell] = []
    found = search(CASE, on_a_bowl(seen), alike, 20_000.0, 1)
    assert found.cell == min(seen, key=lambda cell: on_a_bowl([])(cell).point)


@SEARCHES
def test_a_search_stays_in_the_box(search: Search) -> None:
    seen: list[Cell] = []
    search(CASE, on_a_bowl(seen), alike, 50_000.0, 2)
    octaves = [math.log2(rate / CASE.learning_rate(size, 0)) for size, rate in seen]
    assert {size for size, _ in seen} == {8, 32, 128} and -5.01 < min(octaves) < max(octaves) < 5.01


def test_examples_count_what_they_cost() -> None:
    seen: list[Cell] = []
    found = random_search(CASE, on_a_bowl(seen), lambda size: 1 / size, 50_000.0, 3)
    assert found.cell == min(seen, key=lambda cell: on_a_bowl([])(cell).point / cell[0])


def test_a_search_that_never_arrives_finds_nothing() -> None:
    found = random_search(CASE, lambda cell: TargetRun("not_reached", 2000), alike, 4000.0, 0)
    assert found == Found(None, 4000, 2)


def test_throughput_is_followed_until_it_falls() -> None:
    assert fastest_per_example({1: 1.0, 2: 1.0, 4: 1.5, 8: 3.5, 16: 3.6}, 1000) == 4


def test_throughput_is_followed_up_to_a_fifth_of_the_data() -> None:
    assert fastest_per_example(dict.fromkeys((1, 2, 4, 8, 16, 32), 1.0), 100) == 16
