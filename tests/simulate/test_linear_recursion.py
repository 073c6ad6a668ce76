import itertools

import numpy
import pytest

from batchlab.simulate.linear_recursion import LinearRecursion, mean_square_chunks, moments_after, stationary_variance


def recursion(seed=0, coordinates=3, size=2, radius=0.95):
    generator = numpy.random.default_rng(seed)
    step = generator.normal(size=(coordinates, size, size))
    step *= radius / numpy.abs(numpy.linalg.eigvals(step)).max(axis=1)[:, None, None]
    return LinearRecursion(step, generator.normal(size=(coordinates, size)), generator.normal(size=(coordinates, size)))


def step_by_step(one, n_steps):
    """Return mean and variance of the last component at steps 0 to n of a single coordinate's recursion."""
    mean, covariance, found = one.start[0], numpy.zeros((len(one.start[0]),) * 2), []
    for _ in range(n_steps + 1):
        found.append((mean[-1], covariance[-1, -1]))
        mean = one.step[0] @ mean
        covariance = one.step[0] @ covariance @ one.step[0].T + numpy.outer(one.kick[0], one.kick[0])
    return numpy.array(found)


@pytest.mark.parametrize("n_steps", [0, 1, 2, 7, 64, 101])
def test_powers_give_what_single_steps_give(n_steps):
    one = recursion(coordinates=1)
    mean, variance = moments_after(one, n_steps)
    assert [mean[0], variance[0]] == pytest.approx(step_by_step(one, n_steps)[-1])


def test_chunks_are_the_mean_square_of_every_step():
    many, weights = recursion(coordinates=4), numpy.array([1.0, 0.5, 0.0, 2.0])
    parts = [LinearRecursion(many.step[[i]], many.kick[[i]], many.start[[i]]) for i in range(4)]
    tables = [step_by_step(part, 191) for part in parts]
    expected = sum(w * (table[:, 0] ** 2 + table[:, 1]) for w, table in zip(weights, tables, strict=True))
    found = list(itertools.islice(mean_square_chunks(many, weights), 3))
    assert numpy.concatenate([values for values, _ in found]) == pytest.approx(expected)
    floors = [sum(w * table[at, 1] for w, table in zip(weights, tables, strict=True)) for at in (63, 127, 191)]
    assert [floor for _, floor in found] == pytest.approx(floors)


def test_stationary_variance_is_that_of_many_steps():
    many = recursion(coordinates=5, size=3)
    assert stationary_variance(many) == pytest.approx(moments_after(many, 5000)[1])
