"""How often do identical batch sizes look different because each keeps the luck of its own learning-rate search?

Eight arms train alike. Each chooses its learning rate from its own sweep, then trains 5 fresh seeds there; a two-way F
test at 5 % compares them. A row is a way to choose, a column the number of tuning seeds; the numbers are the shares of
false alarms, then the standard deviation of the chosen rate among the arms, in octaves.

    python benchmarks/tuning_noise.py [--repetitions N] [--write]

The response is a measured one (error points above the optimum at -3..+3 octaves, one seed's scatter .2), drawn smooth
between these; the grid of factor 2 lies at a random offset to the optimum.
"""

import argparse
import math
from dataclasses import dataclass

import numpy
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator

from batchlab.numerics.comparisons import equal_means_p_value
from batchlab.numerics.lr_response import fit_lr_response, response_at, smooth_optima, tuning_variance
from evidence import write_evidence

Array = NDArray[numpy.float64]

OCTAVES = numpy.arange(-3.0, 4.0)
EXCESS = PchipInterpolator(OCTAVES, (1.63, 0.75, 0.3, 0.0, 0.3, 0.92, 5.3))

ARMS, FRESH_SEEDS = 8, 5
ROWS = (
    "best grid point",
    "local quadratic",
    "smoothed across batch sizes",
    "smoothed, lr variance in the test",
    "not smoothed, lr variance in the test",
)


@dataclass(frozen=True, slots=True)
class Noise:
    """Standard deviations: of one score in the tuning trials and in the confirming ones, and of a seed's effect."""

    tuning: float = 0.2
    confirming: float = 0.2
    seed: float = 0.3


def excess_at(octaves: Array) -> Array:
    """Return the true score; linear beyond the measured range."""
    beyond = numpy.maximum(-3.0 - octaves, 0.0) * 0.9 + numpy.maximum(octaves - 3.0, 0.0) * 6.0
    return numpy.asarray(EXCESS(numpy.clip(octaves, -3.0, 3.0)) + beyond)


def repetition(generator: numpy.random.Generator, tuning_seeds: int, noise: Noise) -> tuple[Array, Array]:
    """Return the p-value of each row, and the variance of the chosen rates among the arms."""
    grid = OCTAVES + generator.uniform(-0.5, 0.5)
    sweeps = [
        excess_at(grid)[:, None]
        + generator.normal(0, noise.tuning, (len(grid), tuning_seeds))
        + generator.normal(0, noise.seed, tuning_seeds)
        for _ in range(ARMS)
    ]
    fits = [fit_lr_response(2.0**grid, sweep) for sweep in sweeps]
    own, own_variance = numpy.log2([fit.best for fit in fits]), numpy.array([fit.log2_variance for fit in fits])
    smoothed, smoothed_variance = smooth_optima(numpy.arange(ARMS), own, own_variance)
    picked = numpy.array([grid[sweep.mean(axis=1).argmin()] for sweep in sweeps])
    fresh = generator.normal(0, noise.confirming, (ARMS, FRESH_SEEDS)) + generator.normal(0, noise.seed, FRESH_SEEDS)

    def p_value(chosen: Array, variances: list[float] | None = None) -> float:
        scores = dict(enumerate(excess_at(chosen)[:, None] + fresh))
        return equal_means_p_value(scores, extra_variance=dict(enumerate(variances or [])))

    def lr_variances(chosen: Array, variances: Array) -> list[float]:
        at = [response_at(2.0**grid, sweep, 2.0**place) for sweep, place in zip(sweeps, chosen, strict=True)]
        return [tuning_variance(a.slope, a.curvature, float(v)) for a, v in zip(at, variances, strict=True)]

    p_values = [
        p_value(picked),
        p_value(own),
        p_value(smoothed),
        p_value(smoothed, lr_variances(smoothed, smoothed_variance)),
        p_value(own, lr_variances(own, own_variance)),
    ]
    chosen = (picked, own, smoothed, smoothed, own)
    return numpy.array(p_values), numpy.array([rates.var(ddof=1) for rates in chosen])


def false_alarms(repetitions: int, tuning_seeds: int, noise: Noise = Noise(), seed: int = 0) -> tuple[Array, Array]:
    """Return the share of repetitions with p < .05 and the scatter of the chosen rate in octaves, row by row."""
    generator = numpy.random.default_rng((seed, tuning_seeds))
    found = [repetition(generator, tuning_seeds, noise) for _ in range(repetitions)]
    p_values, variances = numpy.array([p for p, _ in found]), numpy.array([v for _, v in found])
    return (p_values < 0.05).mean(axis=0), numpy.sqrt(variances.mean(axis=0))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--repetitions", type=int, default=2000)
    parser.add_argument("--write", action="store_true", help="write the evidence")
    asked = parser.parse_args()
    repetitions, figures = asked.repetitions, {}
    print(f"{repetitions} repetitions a cell: +-{2 * math.sqrt(0.05 * 0.95 / repetitions):.3f} at .05")
    settings = {
        "tuned and confirmed on one metric (sd .2)": Noise(),
        "tuned on sd .2, confirmed on sd .1": Noise(confirming=0.1),
    }
    for title, noise in settings.items():
        cells = [false_alarms(repetitions, tuning_seeds, noise) for tuning_seeds in (1, 2, 3)]
        print(f"\n{title}\n{'learning rate chosen by':40}{'1 tuning seed':>16}{'2':>16}{'3':>16}")
        for row, name in enumerate(ROWS):
            print(f"{name:40}" + "".join(f"{alarms[row]:>9.3f} ({sd[row]:.2f})" for alarms, sd in cells))
            figures[f"{title}; {name}"] = [{"false_alarms": alarms[row], "octaves_sd": sd[row]} for alarms, sd in cells]
    if asked.write:
        write_evidence("tuning-noise", {"repetitions": repetitions, "tuning_seeds": [1, 2, 3]}, figures)


if __name__ == "__main__":
    main()
