"""Does the interval of the critical batch size hold what it promises, censored runs included?

Steps to a target are drawn from S = 1000 (1 + B_crit/B) with log-normal noise, fitted, and the true critical batch size
looked for in the interval. Columns: the coverage of the 95 % interval, the median estimate, the standard deviation of
its logarithm, the median length of the interval in ln B, and the shares of shapes rejected and of unbounded intervals.

    python benchmarks/tradeoff_coverage.py [--repetitions N] [--write]
"""

import argparse
import math
import time
from dataclasses import asdict, dataclass

import numpy
from numpy.typing import NDArray

from batchlab.numerics.tradeoff import TradeOff, fit_tradeoff
from evidence import write_evidence

Array = NDArray[numpy.float64]

STEPS_MIN = 1000.0
SIZES = tuple(2.0**power for power in range(3, 13))
LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class Case:
    """What is drawn: batch sizes with `seeds` runs each, noise `sd` in ln S, and `size_sd` that a size's runs share.

    Runs beyond `cap` steps are right-censored. With `evaluations` above 1, steps are known only to lie between two
    evaluations whose positions grow by that factor.
    """

    name: str
    sizes: tuple[float, ...] = SIZES
    seeds: int = 3
    sd: float = 0.1
    size_sd: float = 0.0
    cap: float = 20_000.0
    critical: float = 256.0
    evaluations: float = 1.0


CASES = (
    Case("10 sizes, 3 seeds, 10 % censored"),
    Case("nothing censored", cap=math.inf),
    Case("20 % censored", cap=8000.0),
    Case("noise .3", sd=0.3),
    Case("5 sizes", sizes=SIZES[::2]),
    Case("1 seed", seeds=1),
    Case("evaluated every 10 %", evaluations=1.1),
    Case("evaluated every 50 %", evaluations=1.5),
    Case("sizes scatter by .05 too", size_sd=0.05),
    Case("sizes scatter by .1 too", size_sd=0.1),
    Case("critical size is the largest", critical=4096.0, cap=math.inf),
    Case("critical size below all", critical=4.0, cap=math.inf),
)


def draw(case: Case, generator: numpy.random.Generator) -> tuple[Array, Array]:
    """Return batch sizes and limits of steps, one entry a run."""
    sizes = numpy.repeat(case.sizes, case.seeds)
    noise = generator.normal(0, case.sd, len(sizes))
    noise += numpy.repeat(generator.normal(0, case.size_sd, len(case.sizes)), case.seeds)
    steps = STEPS_MIN * (1 + case.critical / sizes) * numpy.exp(noise)
    low, high = steps, steps
    if case.evaluations > 1:
        low = case.evaluations ** numpy.floor(numpy.log(steps) / math.log(case.evaluations))
        high = low * case.evaluations
    censored = low > case.cap
    return sizes, numpy.stack([numpy.where(censored, case.cap, low), numpy.where(censored, math.inf, high)], axis=1)


def row_of(case: Case, fits: list[TradeOff]) -> dict[str, float]:
    """Return what the fits of one case show."""
    within = [min(max(fit.critical_batch_size, 1e-3), 1e6) for fit in fits]
    lengths = [math.log(fit.high / fit.low) if fit.low > 0 else math.inf for fit in fits]
    return {
        "coverage": float(numpy.mean([fit.low <= case.critical <= fit.high for fit in fits])),
        "median": float(numpy.median(within)),
        "sd of ln": float(numpy.std(numpy.log(within))),
        "length": float(numpy.median(lengths)),
        "shape rejected": float(numpy.mean(["shape_rejected" in fit.flags for fit in fits])),
        "unbounded": float(numpy.mean(["unbounded_interval" in fit.flags for fit in fits])),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--repetitions", type=int, default=2000)
    parser.add_argument("--write", action="store_true", help="write the evidence")
    options = parser.parse_args()
    generator = numpy.random.default_rng(0)
    rows = []
    for case in CASES:
        samples = [draw(case, generator) for _ in range(options.repetitions)]
        start = time.perf_counter()
        fits = [fit_tradeoff(sizes, limits, level=LEVEL) for sizes, limits in samples]
        row = row_of(case, fits) | {"ms a fit": (time.perf_counter() - start) / len(fits) * 1e3}
        rows.append({key: str(value) if value == math.inf else value for key, value in (asdict(case) | row).items()})
        print(f"{case.name:34}" + "".join(f"  {key} {value:.3g}" for key, value in row.items()), flush=True)
    if options.write:
        write_evidence("tradeoff-coverage", {"repetitions": options.repetitions, "level": LEVEL, "seed": 0}, rows)


if __name__ == "__main__":
    main()
