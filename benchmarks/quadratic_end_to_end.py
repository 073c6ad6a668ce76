"""Does a study find the tuned steps to the target that are known of the noisy quadratic, by real training?

Two quadratics, each by a race that confirms every batch size with ten seeds. In 4,000 dimensions the loss of one run
hardly differs from its expectation, and steps must be those of the closed form. In the built-in one (100 dimensions)
the loss of one run scatters by a quarter, so that it first gets to the target sooner than the expected loss does: there
they are held against simulated runs, of the recursion alone, 600 of them at each of 50 rates; and, as ten seeds are too
few to tell a rate's own cost, the rates that six races choose are, by what simulated runs need at them.

    python benchmarks/quadratic_end_to_end.py [--write]
"""

import argparse
import functools
import itertools
import math
import statistics
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy
import torch
from torch import Tensor, nn

import batchlab
from batchlab.analyze.findings import StudyFindings
from batchlab.simulate.noisy_quadratic import NoisyQuadratic, harmonic_quadratic
from batchlab.workload import Metric, Workload
from evidence import write_evidence

SIZES = (8, 16, 32, 64, 128, 256, 512, 1024)
SEEDS, SEED = 10, 1
N_DIMENSIONS, LEAST_CURVATURE, NOISE_OVER_CURVATURE, TARGET_SHARE = 4000, 0.004, 8.0, 0.02
RUNS, RATES = 600, numpy.geomspace(0.05, 1.95, 50)
RACES = (1, 2, 3, 4, 5, 6)
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


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """A quadratic as a workload and as a model, and the question; `is_simulated`: simulated runs are the truth."""

    name: str
    workload: str | Workload
    model: NoisyQuadratic
    target: float
    examples: float
    is_simulated: bool


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
        Case("wide quadratic", wide(), model, target, 4e5, False),
        Case("quadratic", "quadratic", harmonic_quadratic(100), 0.05, 2e5, True),
    )


def raced(case: Case, seed: int, seeds: int) -> tuple[StudyFindings, dict[int, tuple[int, ...]]]:
    """Return what a race finds, and where its trials are evaluated, by batch size."""
    with tempfile.TemporaryDirectory() as folder:
        found = batchlab.study(
            case.workload,
            SIZES,
            target=case.target,
            search="model",
            confirm="all",
            examples=case.examples,
            seeds=seeds,
            seed=seed,
            store=Path(folder) / "quadratic.db",
        )
    return found.findings, {one.settings.batch_size: one.settings.evaluate_at for one in found.trials}


@functools.cache
def log_steps(case: Case, evaluate_at: tuple[int, ...], batch_size: int, rate: float) -> float:
    """Return the mean ln(steps) of single runs to their first crossing, as evaluated; at most those of the budget."""
    h, c = numpy.asarray(case.model.curvature), numpy.asarray(case.model.noise_variance)
    steps = sorted({0, *(math.ceil(point / batch_size) for point in evaluate_at)})
    theta, generator = numpy.tile(numpy.asarray(case.model.start), (RUNS, 1)), numpy.random.default_rng(0)
    found, loss, decay = numpy.full(RUNS, math.nan), 0.5 * (h * theta**2).sum(axis=1), 1 - rate * h
    for before, after in itertools.pairwise(steps):
        kept, earlier = decay ** (after - before), loss
        steady = rate * c / (batch_size * h * (2 - rate * h))
        theta = kept * theta + numpy.sqrt(steady * (1 - kept**2)) * generator.normal(size=theta.shape)
        loss = 0.5 * (h * theta**2).sum(axis=1)
        share = numpy.clip((earlier - case.target) / numpy.maximum(earlier - loss, 1e-12), 0, 1)
        start = math.log(before) if before else math.log(after)
        new = (loss <= case.target) & numpy.isnan(found)
        found[new] = (start + share * (math.log(after) - start))[new]
        if not numpy.isnan(found).any():
            break
    return float(numpy.where(numpy.isnan(found), math.log(steps[-1]), found).mean())


def fewest(case: Case, evaluate_at: tuple[int, ...], batch_size: int) -> float:
    """Return the least mean ln(steps) of simulated runs over rates."""
    return min(log_steps(case, evaluate_at, batch_size, float(rate)) for rate in RATES)


def rate_costs(case: Case) -> list[dict[str, Any]]:
    """Return what simulated runs need at the rates that races choose, over what they need at the best rate."""
    rows = []
    for seed in RACES:
        findings, evaluate_at = raced(case, seed, 1)
        for row in findings.batch_sizes:
            at = evaluate_at[row.batch_size]
            over = log_steps(case, at, row.batch_size, row.learning_rate) - fewest(case, at, row.batch_size)
            rows.append({"race": seed, "batch_size": row.batch_size, "over_best": math.exp(over)})
    return rows


def _mean(outputs: Tensor, targets: Tensor) -> Tensor:
    return outputs.mean()


def compared(case: Case) -> list[dict[str, Any]]:
    """Return a row for each batch size."""
    findings, evaluate_at = raced(case, SEED, SEEDS)
    rows = []
    for row in findings.batch_sizes:
        tuned = case.model.tuned_steps_to_target(row.batch_size, case.target)
        assert tuned is not None and row.steps_to_target is not None
        runs, found = None, row.steps_to_target
        if case.is_simulated:
            runs = math.exp(fewest(case, evaluate_at[row.batch_size], row.batch_size))
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


def show(case: Case, rows: list[dict[str, Any]]) -> None:
    """Print the table of one quadratic."""
    print(f"{case.name}, held against {'simulated runs' if case.is_simulated else 'the closed form'}")
    print(f"{'B':>5}{'rate':>8}{'steps':>9}{'95 % interval':>20}{'closed form':>13}{'simulated':>11}{'off':>8}")
    for row in rows:
        interval = f"{row['low']:,.0f} to {row['high']:,.0f}"
        runs = "" if row["simulated"] is None else f"{row['simulated']:,.0f}"
        print(
            f"{row['batch_size']:>5}{row['learning_rate']:>8.3g}{row['steps']:>9,.0f}{interval:>20}"
            f"{row['closed_form']:>13,}{runs:>11}{row['off']:>+8.1%}",
            flush=True,
        )


def main() -> None:
    """Print a table for each quadratic, and what rates cost."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--write", action="store_true", help="write the evidence")
    asked = parser.parse_args()
    print(f"Aim: within {AIM:.0%} at every batch size")
    steps: list[dict[str, Any]] = []
    for case in cases():
        rows = compared(case)
        show(case, rows)
        steps += rows
    rates = rate_costs(cases()[1])
    over = sorted(row["over_best"] for row in rates)
    print(
        f"rates of {len(RACES)} races: steps over those at the best rate {statistics.median(over):.3f} at the median, "
        f"{over[int(0.9 * len(over))]:.3f} at 90 %, {over[-1]:.3f} at worst"
    )
    if asked.write:
        settings = {"seeds": SEEDS, "seed": SEED, "runs": RUNS, "races": len(RACES)}
        write_evidence("quadratic-end-to-end", settings, {"steps": steps, "rates": rates})


if __name__ == "__main__":
    main()
