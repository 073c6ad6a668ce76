"""How often does the interval of the gradient noise scale contain it, and how far off is a mean of per-step ratios?

Gradients are Gaussian with equal variance in all directions, so the two squared norms that a step gives are drawn
exactly, as (noncentral) chi-squares, without drawing 2,000 numbers each. The same settings in 20 directions show what a
low effective rank costs: real gradients are nearer to that. A repetition is one measurement of 400 steps at fixed
parameters, each of k micro-batches of b examples.

    python benchmarks/noise_scale_coverage.py [--repetitions N] [--steps N] [--write]

Columns: the first repetition; the median of the values that were resolved; the shares of repetitions whose interval
contains the truth, has no upper end, is empty; the median of mean(trace/signal) over the truth, which is what averaging
ratios gives.
"""

import argparse
import math
from dataclasses import asdict, dataclass

import numpy
from numpy.typing import NDArray

from batchlab.numerics.noise_scale import NoiseScale, estimate_noise_scale
from evidence import write_evidence

Array = NDArray[numpy.float64]

DIMENSIONS = (2000, 20)


@dataclass(frozen=True, slots=True)
class Setting:
    """A true noise scale in examples, the micro-batch size b and the number of micro-batches k of a step."""

    truth: float
    b: int
    k: int


SETTINGS = (Setting(256, 64, 4), Setting(4096, 64, 4), Setting(4096, 8, 4), Setting(20_000, 8, 8))


def draw_moments(
    generator: numpy.random.Generator, setting: Setting, dimension: int, steps: int
) -> tuple[Array, Array]:
    """Return trace and signal of each step where |G|² = 1."""
    variance, n = setting.truth / dimension, setting.b * setting.k
    mean_sq_norm = variance / n * generator.noncentral_chisquare(dimension, n / variance, steps)
    trace = variance * generator.chisquare(dimension * (setting.k - 1), steps) / (setting.k - 1)
    return trace, mean_sq_norm - trace / n


def measure(setting: Setting, dimension: int, repetitions: int, steps: int) -> tuple[list[NoiseScale], Array]:
    """Return the noise scale of each repetition, and the mean of its per-step ratios."""
    generator = numpy.random.default_rng((int(setting.truth), setting.b, dimension))
    drawn = [draw_moments(generator, setting, dimension, steps) for _ in range(repetitions)]
    return [estimate_noise_scale(*one) for one in drawn], numpy.array([(x / y).mean() for x, y in drawn])


def summary(setting: Setting, found: list[NoiseScale], ratios: Array) -> dict[str, float | None]:
    first, values = found[0], [one.value for one in found if one.value is not None]
    hits = [one.low is not None and one.high is not None and one.low <= setting.truth <= one.high for one in found]
    return {
        "first_value": first.value,
        "first_low": first.low,
        "first_high": first.high,
        "median": float(numpy.median(values)),
        "coverage": float(numpy.mean(hits)),
        "unbounded": float(numpy.mean([one.high == math.inf for one in found])),
        "empty": float(numpy.mean([one.low is None for one in found])),
        "mean_of_ratios_over_truth": float(numpy.median(ratios)) / setting.truth,
    }


def shown(value: float | None) -> str:
    return "none" if value is None else "inf" if math.isinf(value) else f"{value:,.0f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--repetitions", type=int, default=2000)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--write", action="store_true", help="write the evidence")
    asked = parser.parse_args()
    error = 2 * math.sqrt(0.05 * 0.95 / asked.repetitions)
    print(f"{asked.repetitions} repetitions of {asked.steps} steps: +-{error:.3f} at .95")
    figures = []
    for dimension in DIMENSIONS:
        print(f"\neffective rank {dimension:,}\n{'truth':>7}{'b':>4}{'k':>3}{'estimate (95 % interval)':>32}", end="")
        print(f"{'median':>9}{'covered':>9}{'no end':>8}{'empty':>7}{'ratios':>8}")
        for setting in SETTINGS:
            row = summary(setting, *measure(setting, dimension, asked.repetitions, asked.steps))
            first = [shown(row[f"first_{name}"]) for name in ("value", "low", "high")]
            print(
                f"{setting.truth:>7,}{setting.b:>4}{setting.k:>3}{f'{first[0]} ({first[1]} to {first[2]})':>32}", end=""
            )
            print(f"{row['median']:>9,.0f}{row['coverage']:>9.3f}", end="")
            print(f"{row['unbounded']:>8.3f}{row['empty']:>7.3f}{row['mean_of_ratios_over_truth']:>8.2f}")
            plain = {name: "inf" if value == math.inf else value for name, value in row.items()}
            figures.append({"effective_rank": dimension, **asdict(setting), **plain})
    if asked.write:
        write_evidence("noise-scale-coverage", {"repetitions": asked.repetitions, "steps": asked.steps}, figures)


if __name__ == "__main__":
    main()
