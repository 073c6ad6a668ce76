"""Does a study find the tuned steps to the target that are known of the noisy quadratic, by real training?

Two quadratics, each by a race that confirms every batch size with ten seeds. In 4,000 dimensions the loss of one run
hardly differs from its expectation, and steps must be those of the closed form. In the built-in one (100 dimensions)
the loss of one run scatters by a quarter, so that it first gets to the target sooner than the expected loss does: there
they must be those of simulated runs, of the recursion alone, 1,000 of them at each of 24 rates about the best. The
figures beside the steps are by how much they differ.

    python benchmarks/quadratic_end_to_end.py [--write]
"""

import argparse
import functools
import itertools
import math
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy
import torch
from torch import Tensor, nn

import batchlab
from batchlab.analyze.findings import StudyFindings
from batchlab.numerics.crossings import first_crossing
from batchlab.records import TrialSettings
from batchlab.simulate.noisy_quadratic import NoisyQuadratic, harmonic_quadratic
from batchlab.workload import Metric, Workload
from evidence import write_evidence

SIZES = (8, 16, 32, 64, 128, 256, 512, 1024)
SEEDS, SEED = 10, 1
N_DIMENSIONS, LEAST_CURVATURE, NOISE_OVER_CURVATURE, TARGET_SHARE = 4000, 0.004, 8.0, 0.02
RUNS, RATES, RATE_SPAN = 1000, 24, 3.0
AIM = 0.05


class WideQuadratic(nn.Module):
    """½ Σ hᵢ θᵢ² in many dimensions, with the mean noise of a batch, N(0, c/B), drawn at once."""

    curvature: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.theta = nn.Parameter(torch.ones(N_DIMENSIONS))
        self.register_buffer("curvature", torch.tensor(wide_model().curvature))

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the loss of each example, shape (n,); of `inputs` only the length n matters."""
        loss = 0.5 * (self.curvature * self.theta.square()).sum()
        if self.training:
            noise_sd = (NOISE_OVER_CURVATURE / len(inputs) * self.curvature).sqrt()
            loss = loss + (noise_sd * torch.randn_like(self.theta)) @ self.theta
        return loss.expand(len(inputs))


@dataclass(frozen=True, slots=True)
class Case:
    """A quadratic as a workload and as a model, and the question; `by` is what its steps are held against."""

    name: str
    workload: str | Workload
    model: NoisyQuadratic
    target: float
    examples: float
    by: str


@functools.cache
def wide_model() -> NoisyQuadratic:
    """Return the model in many dimensions: curvatures log-spaced, noise in proportion."""
    curvature = numpy.geomspace(1.0, LEAST_CURVATURE, N_DIMENSIONS)
    return NoisyQuadratic(tuple(curvature), tuple(NOISE_OVER_CURVATURE * curvature), (1.0,) * N_DIMENSIONS)


def wide() -> Workload:
    """Return the same as a workload."""
    return Workload(
        "wide quadratic",
        WideQuadratic,
        (numpy.zeros((2048, 1)), numpy.zeros(2048)),
        (numpy.zeros((4, 1)), numpy.zeros(4)),
        loss=_mean,
        metric=Metric("excess loss", _mean),
        optimizer_settings={"lr": 0.5, "momentum": 0.0},
        baseline="initial",
        default_epochs=8,
    )


def cases() -> tuple[Case, ...]:
    """Return both; a budget is some four times what the largest batch size needs."""
    model = wide_model()
    target = TARGET_SHARE * model.expected_loss(0, 1, 0.1)
    return (
        Case("wide quadratic", wide(), model, target, 4e5, "closed form"),
        Case("quadratic", "quadratic", harmonic_quadratic(100), 0.05, 2e5, "simulated runs"),
    )


def raced(case: Case) -> tuple[StudyFindings, tuple[TrialSettings, ...]]:
    """Return what a race finds, and the settings of its confirmed trials."""
    with tempfile.TemporaryDirectory() as folder:
        found = batchlab.study(
            case.workload,
            SIZES,
            target=case.target,
            search="model",
            confirm="all",
            examples=case.examples,
            seeds=SEEDS,
            seed=SEED,
            store=Path(folder) / "quadratic.db",
        )
    return found.findings, tuple(one.settings for one in found.trials if one.settings.purpose == "confirm")


def simulated_steps(case: Case, evaluate_at: Sequence[int], batch_size: int, around: float) -> float:
    """Return the fewest steps of single runs over rates: the geometric mean of their first crossings, as evaluated."""
    rates = around * 2.0 ** numpy.linspace(-RATE_SPAN / 2, RATE_SPAN / 2, RATES)
    steps = sorted({0, *(math.ceil(point / batch_size) for point in evaluate_at)})
    means = []
    for rate in rates:
        losses = _losses(case, steps, batch_size, float(rate))
        found = [first_crossing(steps, row, case.target) for row in losses]
        logs = [math.log(one.point) for one in found if one.point is not None]
        means.append(math.exp(sum(logs) / len(logs)) if len(logs) == len(found) else math.inf)
    return min(means)


def _losses(case: Case, steps: Sequence[int], batch_size: int, rate: float) -> numpy.ndarray:
    """Return the loss of each run at some steps, shape (runs, steps): θ goes from one to the next as it would."""
    h, c = numpy.asarray(case.model.curvature), numpy.asarray(case.model.noise_variance)
    generator = numpy.random.default_rng(0)
    theta = numpy.tile(numpy.asarray(case.model.start), (RUNS, 1))
    rows, decay = [0.5 * (h * theta**2).sum(axis=1)], 1 - rate * h
    for before, after in itertools.pairwise(steps):
        kept = decay ** (after - before)
        steady = rate * c / (batch_size * h * (2 - rate * h))
        theta = kept * theta + numpy.sqrt(steady * (1 - kept**2)) * generator.normal(size=theta.shape)
        rows.append(0.5 * (h * theta**2).sum(axis=1))
        if rows[-1].max() <= case.target / 10:
            break
    return numpy.stack(rows, axis=1) if len(rows) == len(steps) else _padded(rows, len(steps))


def _padded(rows: list[numpy.ndarray], length: int) -> numpy.ndarray:
    return numpy.stack([*rows, *([rows[-1]] * (length - len(rows)))], axis=1)


def _mean(outputs: Tensor, targets: Tensor) -> Tensor:
    return outputs.mean()


def compared(case: Case) -> list[dict[str, Any]]:
    """Return a row for each batch size."""
    findings, trials = raced(case)
    rows = []
    for row in findings.batch_sizes:
        tuned = case.model.tuned_steps_to_target(row.batch_size, case.target)
        assert tuned is not None and row.steps_to_target is not None
        at = next(one.evaluate_at for one in trials if one.batch_size == row.batch_size)
        runs = None
        if case.by == "simulated runs":
            runs = simulated_steps(case, at, row.batch_size, row.learning_rate)
        found = row.steps_to_target
        rows.append(
            {
                "quadratic": case.name,
                "batch_size": row.batch_size,
                "learning_rate": row.learning_rate,
                "steps": found.mean,
                "low": found.low,
                "high": found.high,
                "closed_form": tuned.steps,
                "closed_form_rate": tuned.learning_rate,
                "simulated": runs,
                "off": found.mean / (tuned.steps if runs is None else runs) - 1,
            }
        )
    return rows


def main() -> None:
    """Print a table for each quadratic."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--write", action="store_true", help="write the evidence")
    asked = parser.parse_args()
    found: list[dict[str, Any]] = []
    for case in cases():
        rows = compared(case)
        print(f"{case.name}, held against the {case.by}; aim: within {AIM:.0%} at every batch size")
        print(f"{'B':>5}{'rate':>8}{'steps':>9}{'95 % interval':>20}{'closed form':>13}{'simulated':>11}{'off':>8}")
        for row in rows:
            interval = f"{row['low']:,.0f} to {row['high']:,.0f}"
            runs = "" if row["simulated"] is None else f"{row['simulated']:,.0f}"
            print(
                f"{row['batch_size']:>5}{row['learning_rate']:>8.3g}{row['steps']:>9,.0f}{interval:>20}"
                f"{row['closed_form']:>13,}{runs:>11}{row['off']:>+8.1%}",
                flush=True,
            )
        found += rows
    if asked.write:
        write_evidence("quadratic-end-to-end", {"seeds": SEEDS, "seed": SEED, "runs": RUNS}, found)


if __name__ == "__main__":
    main()
