import math

import numpy
import pytest

from batchlab.analyze.tuning_box import AXES, Axis
from batchlab.errors import MissingPackage
from batchlab.studies import tuning_options
from batchlab.studies.samplers import OPTUNA, Place, Told, ask, quasi_random
from batchlab.studies.tuning_options import OPTUNA_SAMPLERS

RATE = Axis("learning_rate")
BOX = (RATE, AXES["momentum"], AXES["schedule"])


def found(n: int, sampler: str = "tpe") -> tuple[Told, ...]:
    """Return what is found at the first n places that a sampler asks for, two at a time; best at 0.3 and 0.6."""
    known: list[Told] = []
    while len(known) < n:
        for place in ask(sampler, BOX, tuple(known), 2, len(known)):
            known.append(Told(place, (place.shares[0] - 0.3) ** 2 + (place.shares[1] - 0.6) ** 2))
    return tuple(known)


def test_quasi_random_points_are_evener_than_random_ones_on_every_axis() -> None:
    points = numpy.array([place.shares for place in quasi_random(4, 24, seed=0)])
    assert points.shape == (24, 4)
    gaps = numpy.diff(numpy.sort(points, axis=0), axis=0).max(axis=0)
    # Of 24 random points the widest gap is expected to be 0.15.
    assert (gaps < 0.15).all()


def test_more_quasi_random_points_begin_with_the_same_ones() -> None:
    assert quasi_random(3, 30, seed=5)[:18] == quasi_random(3, 18, seed=5)
    assert quasi_random(3, 18, seed=5) != quasi_random(3, 18, seed=6)


def test_every_sampler_of_the_options_is_one_of_optunas() -> None:
    optuna = pytest.importorskip("optuna", reason="Optuna is not installed")
    assert set(OPTUNA) == set(OPTUNA_SAMPLERS)
    assert all(hasattr(optuna.samplers, name) for name, _ in OPTUNA.values())


@pytest.mark.parametrize("sampler", ["tpe", "random", "cmaes"])
def test_what_is_asked_for_follows_from_what_was_told_and_the_seed(sampler: str) -> None:
    for package in OPTUNA_SAMPLERS[sampler]:
        pytest.importorskip(package, reason=f"{package} is not installed")
    told = found(12, sampler)
    first = ask(sampler, BOX, told, 2, 7)
    ask.cache_clear()
    assert ask(sampler, BOX, told, 2, 7) == first
    assert ask(sampler, BOX, told, 2, 8) != first
    assert len(first) == 2 and first[0] != first[1]
    assert all(0 <= share <= 1 for place in first for share in place.shares)


def test_a_gaussian_process_too_asks_for_what_follows_from_what_was_told() -> None:
    pytest.importorskip("optuna", reason="Optuna is not installed")
    told = tuple(Told(Place((share,)), (share - 0.3) ** 2) for share in numpy.linspace(0, 1, 11).tolist())
    first = ask("gp", (RATE,), told, 1, 7)
    ask.cache_clear()
    assert ask("gp", (RATE,), told, 1, 7) == first
    assert first[0].shares[0] == pytest.approx(0.3, abs=0.05)


def test_a_choice_comes_back_as_the_middle_of_its_share() -> None:
    pytest.importorskip("optuna", reason="Optuna is not installed")
    shares = {place.shares[2] for place in ask("random", BOX, (), 30, 0)}
    assert sorted(shares) == pytest.approx([1 / 6, 1 / 2, 5 / 6])


def test_tpe_looks_where_it_was_good() -> None:
    pytest.importorskip("optuna", reason="Optuna is not installed")
    places = [told.place for told in found(40)[20:]]
    near = [math.dist(place.shares[:2], (0.3, 0.6)) < 0.25 for place in places]
    # A fifth of the box lies as near.
    assert sum(near) > 10


def test_cma_es_goes_on_from_its_own_state() -> None:
    pytest.importorskip("cmaes", reason="cmaes is not installed")
    assert any(
        name == "cma:generation" and value > 0 for told in found(30, "cmaes") for name, value in told.place.notes
    )


def test_a_failed_trial_is_told_as_nothing() -> None:
    pytest.importorskip("optuna", reason="Optuna is not installed")
    told = (*found(12), Told(Place((0.9, 0.9, 0.5)), None))
    assert ask("tpe", BOX, told, 1, 3) == ask("tpe", BOX, told, 1, 3)


def test_optunas_own_settings_are_left_as_they_are() -> None:
    optuna = pytest.importorskip("optuna", reason="Optuna is not installed")
    before = optuna.logging.get_verbosity()
    ask("random", BOX, (), 1, 123)
    assert optuna.logging.get_verbosity() == before


def test_without_the_package_the_error_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tuning_options, "find_spec", lambda name: None)
    ask.cache_clear()
    with pytest.raises(MissingPackage) as raised:
        ask("tpe", BOX, (), 1, 0)
    assert str(raised.value) == (
        "The sampler tpe needs optuna, which is not installed; run `pip install 'batchlab[optuna]'`."
    )
