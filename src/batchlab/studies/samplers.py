"""Which places of a box to try next: quasi-random ones, or those that a sampler of Optuna's asks for.

Optuna is a source of places and nothing else: its study is made afresh, in memory, from what was found so far.
"""

import functools
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy

from batchlab.analyze.tuning_box import Axis
from batchlab.errors import MissingPackage
from batchlab.studies.tuning_options import INSTALL, missing_packages

if TYPE_CHECKING:
    import optuna

# The sampler's name, and what differs from Optuna's own choices.
OPTUNA: dict[str, tuple[str, dict[str, Any]]] = {
    "tpe": ("TPESampler", {}),
    "gp": ("GPSampler", {}),
    "cmaes": ("CmaEsSampler", {"warn_independent_sampling": False}),
    "random": ("RandomSampler", {}),
}

# Of what samplers keep with a trial, that which they need again: the state of CMA-ES.
KEPT = "cma:"


@dataclass(frozen=True, slots=True)
class Place:
    """A place in the box, a share in [0, 1] of each axis; `notes` are what its sampler keeps with it."""

    shares: tuple[float, ...]
    notes: tuple[tuple[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Told:
    """What was found at a place, lower is better; None is nothing: the trial failed."""

    place: Place
    value: float | None


def quasi_random(n_axes: int, n: int, seed: int) -> tuple[Place, ...]:
    """Return the first n points of a scrambled Halton sequence, which fill a box evenly for any n.

    More of them begin with the same ones.
    """
    # Over a second to import, which a study that tunes the learning rate alone need not wait for.
    from scipy.stats import qmc

    points = qmc.Halton(n_axes, scramble=True, seed=numpy.random.default_rng(seed)).random(n)
    return tuple(Place(tuple(point)) for point in points.tolist())


@functools.lru_cache(maxsize=4096)
def ask(sampler: str, axes: tuple[Axis, ...], told: tuple[Told, ...], n: int, seed: int) -> tuple[Place, ...]:
    """Return the next n places that a sampler of Optuna's asks for; a pure function, kept as samplers can be slow.

    Args:
        sampler: tpe, gp, cmaes or random.
        axes: of the box; one with choices is a categorical parameter, any other a float in [0, 1].
        told: what was found, in the order in which it was asked for.
        n: places asked for at once, without knowing what will be found at the others.
        seed: below 2^32.

    Raises:
        MissingPackage: Optuna, or what this sampler needs beside it, is not installed.
    """
    missing = missing_packages(sampler)
    if missing:
        raise MissingPackage(f"The sampler {sampler} needs {missing}, which is not installed; run `{INSTALL}`.")
    with _quiet_optuna() as optuna:
        name, options = OPTUNA[sampler]
        study = optuna.create_study(sampler=getattr(optuna.samplers, name)(seed=seed, **options))
        parameters = {axis.name: _distribution(axis) for axis in axes}
        for one in told:
            study.add_trial(_trial(one, parameters))
        for _ in range(n):
            study.ask(parameters)
        return tuple(_place(trial, axes) for trial in study.get_trials(deepcopy=False)[-n:])


def _distribution(axis: Axis) -> "optuna.distributions.BaseDistribution":
    import optuna

    if axis.choices:
        return optuna.distributions.CategoricalDistribution(axis.choices)
    return optuna.distributions.FloatDistribution(0.0, 1.0)


def _trial(told: Told, parameters: "dict[str, optuna.distributions.BaseDistribution]") -> "optuna.trial.FrozenTrial":
    import optuna

    state = optuna.trial.TrialState
    values = {
        name: distribution.choices[_choice(share, len(distribution.choices))]
        if isinstance(distribution, optuna.distributions.CategoricalDistribution)
        else share
        for (name, distribution), share in zip(parameters.items(), told.place.shares, strict=True)
    }
    return optuna.trial.create_trial(
        state=state.FAIL if told.value is None else state.COMPLETE,
        value=told.value,
        params=values,
        distributions=parameters,
        system_attrs=dict(told.place.notes),
    )


def _place(trial: "optuna.trial.FrozenTrial", axes: Sequence[Axis]) -> Place:
    """Return where a trial is to be made; a choice is the middle of its share of the axis."""
    shares = (
        (axis.choices.index(trial.params[axis.name]) + 0.5) / len(axis.choices)
        if axis.choices
        else float(trial.params[axis.name])
        for axis in axes
    )
    return Place(tuple(shares), tuple(sorted(one for one in trial.system_attrs.items() if one[0].startswith(KEPT))))


def _choice(share: float, n: int) -> int:
    return min(int(share * n), n - 1)


@contextmanager
def _quiet_optuna() -> "Iterator[Any]":
    """Give Optuna without its messages about studies of which the user knows nothing."""
    import optuna

    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            yield optuna
    finally:
        optuna.logging.set_verbosity(before)
