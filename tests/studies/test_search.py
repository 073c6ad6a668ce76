import numpy
from hypothesis import given
from hypothesis import strategies as st

from batchlab.analyze.learning_rates import Response
from batchlab.studies.search import MOST_OCTAVES, first_octave, learning_rate_at, octaves_wanted
from simulated import spec


def response(losses: dict[int, float]) -> Response:
    """Return a response with two seeds a grid point."""
    table = numpy.repeat(numpy.array([[loss] for loss in losses.values()]), 2, axis=1)
    return Response(tuple(learning_rate_at(spec(), octave) for octave in losses), table, table)


def test_the_first_grid_has_two_points_on_either_side_of_the_square_root_rule() -> None:
    assert first_octave(spec(), 128) == 1
    assert octaves_wanted(spec(), 128, None) == {-1, 0, 1, 2, 3}


def test_the_grid_grows_on_the_side_where_its_best_point_lies() -> None:
    falling = response({-2: 5.0, -1: 4.0, 0: 3.0, 1: 2.0, 2: 1.0})
    assert octaves_wanted(spec(), 32, falling) == {-2, -1, 0, 1, 2, 3, 4}


def test_a_bracketed_best_point_asks_for_nothing_more() -> None:
    assert octaves_wanted(spec(), 32, response({-2: 5.0, -1: 4.0, 0: 1.0, 1: 2.0, 2: 3.0})) == {-2, -1, 0, 1, 2}


def test_divergence_closes_the_upper_side() -> None:
    walled = response({-2: 5.0, -1: 4.0, 0: 3.0, 1: 1.0, 2: numpy.inf})
    assert octaves_wanted(spec(), 32, walled) == {-2, -1, 0, 1, 2}


def test_when_everything_diverged_the_grid_goes_down() -> None:
    assert octaves_wanted(spec(), 32, response(dict.fromkeys(range(-2, 3), numpy.inf))) == set(range(-4, 3))


@given(st.floats(-30, 30))
def test_the_search_ends_with_its_best_point_bracketed_or_at_the_stated_limit(optimum: float) -> None:
    wanted = octaves_wanted(spec(), 32, None)
    for _ in range(2 * MOST_OCTAVES):
        known = response({octave: (octave - optimum) ** 2 for octave in sorted(wanted)})
        wider = octaves_wanted(spec(), 32, known) | wanted
        if wider == wanted:
            break
        wanted = wider
    nearest = min(max(round(optimum), -MOST_OCTAVES), MOST_OCTAVES)
    assert {nearest} <= wanted
    assert max(wanted) <= MOST_OCTAVES
    assert len(wanted) <= 2 * MOST_OCTAVES + 1


def test_learning_rates_of_the_grid_can_be_read() -> None:
    assert learning_rate_at(spec(base_lr=0.1), -7) == 0.0007813
