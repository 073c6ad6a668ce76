"""The reference loop: what a trial is, from settings to result."""

import math
import platform
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from batchlab import __version__
from batchlab.records import Curve, TrialResult, TrialSettings
from batchlab.train.baseline import baseline_metric
from batchlab.train.budgets import examples_in_steps
from batchlab.train.evaluation import evaluate
from batchlab.train.optimizers import make_optimizer
from batchlab.train.order import batches
from batchlab.train.schedules import learning_rate_factor
from batchlab.train.seeding import derive_seed
from batchlab.train.step import train_step
from batchlab.workload import Splits, Workload


@dataclass
class _Run:
    """One trial under way: the things that change."""

    model: nn.Module
    optimizer: Optimizer
    examples: int = 0
    steps: int = 0
    learning_rate: float = math.nan
    loss_sum: Tensor | float = 0.0
    loss_count: int = 0
    rows: list[tuple[int, int, float, float, float, float]] = field(default_factory=list)


def run_trial(
    workload: Workload, settings: TrialSettings, *, on_evaluation: Callable[[int], None] | None = None
) -> TrialResult:
    """Return what one training run finds; on a CPU the same settings, machine and versions give the same bits.

    torch's random state is left as it was found. A loss that is not finite ends the trial, with status diverged.

    Args:
        workload: what is trained; its data are drawn anew from the trial's seed where the workload says so.
        settings: everything that decides the trial.
        on_evaluation: called with the number of examples seen, at each evaluation.
    """
    started = time.perf_counter()
    with torch.random.fork_rng(devices=_cuda_devices(settings.device)):
        splits = _move(workload.splits(derive_seed(settings.base_seed, "data", settings.seed)), settings.device)
        torch.manual_seed(derive_seed(settings.base_seed, "weights", settings.seed))
        model = workload.make_model().to(settings.device)
        baseline = baseline_metric(workload, splits, model)
        torch.manual_seed(derive_seed(settings.base_seed, "training", settings.seed, settings.replica))
        trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
        run = _Run(
            model,
            make_optimizer(settings.optimizer, trainable, settings.learning_rate, settings.optimizer_settings),
        )
        for _ in _train(run, workload, splits, settings):
            _record(run, workload, splits)
            if on_evaluation is not None:
                on_evaluation(run.examples)
            if not all(math.isfinite(value) for value in run.rows[-1][4:]):
                break
        return _result(run, workload, splits, settings, baseline, time.perf_counter() - started)


def _train(run: _Run, workload: Workload, splits: Splits, settings: TrialSettings) -> Iterator[None]:
    """Train, yielding whenever an evaluation is due: before the first step, at the points asked for, after the last."""
    n_train = len(splits.train[0])
    order_seed = derive_seed(settings.base_seed, "order", settings.seed, settings.replica)
    due = iter(settings.evaluate_at)
    next_due = next(due, math.inf)
    total = examples_in_steps(settings.n_steps, settings.batch_size, n_train, settings.last_batch)
    run.model.train()
    yield
    for indices in batches(n_train, settings.batch_size, settings.n_steps, settings.last_batch, order_seed):
        count = len(indices)
        factor = learning_rate_factor(settings.schedule, run.examples / total, (run.examples + count) / total)
        run.learning_rate = settings.learning_rate * factor
        for group in run.optimizer.param_groups:
            group["lr"] = run.learning_rate
        loss = train_step(workload, run.model, run.optimizer, splits.train, indices)
        run.loss_sum = run.loss_sum + loss * count
        run.loss_count += count
        run.examples += count
        run.steps += 1
        if run.examples >= next_due or run.steps == settings.n_steps:
            while next_due <= run.examples:
                next_due = next(due, math.inf)
            yield


def _record(run: _Run, workload: Workload, splits: Splits) -> None:
    train_loss = float(run.loss_sum) / run.loss_count if run.loss_count else math.nan
    valid_loss, valid_metric = evaluate(run.model, workload, splits.valid)
    # A weight that has overflowed can hide behind a bounded metric: the training loss counts as well.
    if run.loss_count and not math.isfinite(train_loss):
        valid_loss = math.nan
    run.rows.append((run.examples, run.steps, run.learning_rate, train_loss, valid_loss, valid_metric))
    run.loss_sum, run.loss_count = 0.0, 0


def _result(
    run: _Run, workload: Workload, splits: Splits, settings: TrialSettings, baseline: float, seconds: float
) -> TrialResult:
    """Close the trial: training and test data are looked at once, here, and only in a confirmed trial."""
    done = all(math.isfinite(value) for value in run.rows[-1][4:])
    confirmed = done and settings.purpose == "confirm"
    train = evaluate(run.model, workload, splits.train) if confirmed else (None, None)
    test = evaluate(run.model, workload, splits.test) if confirmed and splits.test is not None else (None, None)
    return TrialResult(
        settings=settings,
        status="done" if done else "diverged",
        curve=Curve(*zip(*run.rows, strict=True)),
        examples=run.examples,
        steps=run.steps,
        valid_loss=run.rows[-1][4],
        valid_metric=run.rows[-1][5],
        baseline_metric=baseline,
        train_loss=train[0],
        train_metric=train[1],
        test_loss=test[0],
        test_metric=test[1],
        seconds=seconds,
        host=platform.node(),
        versions=versions(),
    )


def versions() -> tuple[tuple[str, str], ...]:
    """Return the versions a result depends on, by name."""
    return (
        ("batchlab", __version__),
        ("numpy", numpy.__version__),
        ("python", platform.python_version()),
        ("torch", torch.__version__),
    )


def _move(splits: Splits, device: str) -> Splits:
    def moved(split: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        return split[0].to(device), split[1].to(device)

    return Splits(moved(splits.train), moved(splits.valid), None if splits.test is None else moved(splits.test))


def _cuda_devices(device: str) -> list[torch.device]:
    return [torch.device(device)] if device.startswith("cuda") else []
