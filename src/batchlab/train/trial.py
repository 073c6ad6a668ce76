"""The reference loop: what a trial is, from settings to result."""

import math
import platform
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy
import torch
from torch import Tensor, nn

from batchlab import __version__
from batchlab.measure.out_of_memory import is_out_of_memory
from batchlab.measure.random_states import kept_randomness
from batchlab.records import Curve, TrialResult, TrialSettings
from batchlab.train.baseline import constant_metric
from batchlab.train.budgets import examples_in_steps
from batchlab.train.evaluation import Evaluation
from batchlab.train.injected_noise import InjectedNoise
from batchlab.train.optimizers import learning_rate_ratios
from batchlab.train.order import batches, epoch_length, epochs, micro_batches
from batchlab.train.permuted_labels import permuted
from batchlab.train.reading import Waiting, on_device, open_reader
from batchlab.train.schedules import learning_rate_factor
from batchlab.train.seeding import derive_seed, seed_everything
from batchlab.train.step import Stepper, make_stepper, train_step
from batchlab.train.stopping import may_end
from batchlab.workload import Splits, Workload


@dataclass
class _Run:
    """One trial under way: the things that change."""

    workload: Workload
    settings: TrialSettings
    splits: Splits
    micro_batch_size: int
    stepper: Stepper
    validation: Evaluation
    examples: int = 0
    steps: int = 0
    learning_rate: float = math.nan
    loss_sum: Tensor | float = 0.0
    loss_count: Any = 0
    loading_s: float = 0.0
    evaluation_s: float = 0.0
    rows: list[tuple[int, int, float, float, float, float]] = field(default_factory=list)


def run_trial(
    workload: Workload, settings: TrialSettings, *, on_evaluation: Callable[[int], None] | None = None
) -> TrialResult:
    """Return what one training run finds; on a CPU the same settings, machine and versions give the same bits.

    The random states of torch, NumPy and Python are left as they were found. A loss that is not finite ends the trial,
    with status diverged. The rule to stop in its settings, if there is one, ends it with status stopped; until then it
    is the trial without a rule. Where memory does not suffice, the trial begins again with micro-batches of half the
    size, down to single examples; the gradient of a step stays that of its whole batch.

    Args:
        workload: what is trained; its data are drawn anew from the trial's seed where the workload says so.
        settings: everything that decides the trial.
        on_evaluation: called with the number of examples seen, at each evaluation.
    """
    micro_batch_size = min(settings.batch_size, settings.micro_batch_size or settings.batch_size)
    while True:
        with kept_randomness(_cuda_devices(settings.device)):
            try:
                return _run_once(workload, settings, micro_batch_size, on_evaluation)
            except (MemoryError, RuntimeError) as error:
                if micro_batch_size == 1 or not is_out_of_memory(error):
                    raise
        # Only here: the exception held the tensors of the attempt.
        micro_batch_size //= 2
        if settings.device.startswith("cuda"):
            torch.cuda.empty_cache()


def _run_once(
    workload: Workload, settings: TrialSettings, micro_batch_size: int, on_evaluation: Callable[[int], None] | None
) -> TrialResult:
    started = time.perf_counter()
    base_seed, seed = settings.base_seed, settings.seed
    drawn = workload.splits(derive_seed(base_seed, "data", seed))
    if settings.permute_labels:
        drawn = permuted(drawn, derive_seed(base_seed, "labels", seed))
    splits = Splits(*(on_device(split, settings.device) for split in (drawn.train, drawn.valid, drawn.test)))
    seed_everything(derive_seed(base_seed, "weights", seed))
    model = workload.make_model().to(settings.device)
    validation = Evaluation(workload, splits.valid, settings.device)
    baseline = _baseline(workload, splits.train, model, validation, settings)
    seed_everything(derive_seed(base_seed, "training", seed, settings.replica))
    run = _Run(workload, settings, splits, micro_batch_size, make_stepper(workload, model, settings), validation)
    for _ in _train(run):
        _record(run)
        if on_evaluation is not None:
            on_evaluation(run.examples)
        if not all(math.isfinite(value) for value in run.rows[-1][4:]) or _may_end(run):
            break
    return _result(run, baseline, started)


def _baseline(
    workload: Workload, train: Any, model: nn.Module, validation: Evaluation, settings: TrialSettings
) -> float:
    """Return what has to be beaten; best constants follow from the data alone, and are found once a draw of them."""
    own_data = workload.draw is not None or settings.permute_labels
    key = (
        "baseline",
        settings.device,
        settings.base_seed,
        settings.permute_labels,
        settings.seed if own_data else None,
    )
    if key not in workload.known:
        workload.known[key] = constant_metric(workload, train, model, validation, settings.device)
    best: float | None = workload.known[key]
    return validation(model)[1] if best is None else best


def _train(run: _Run) -> Iterator[None]:
    """Train, yielding whenever an evaluation is due: before the first step, at the points asked for, after the last."""
    settings, stepper = run.settings, run.stepper
    due = iter(settings.evaluate_at)
    next_due = next(due, math.inf)
    n_train = epoch_length(run.workload, run.splits.train)
    total = examples_in_steps(settings.n_steps, settings.batch_size, n_train, settings.last_batch)
    groups = stepper.optimizer.param_groups
    ratios = learning_rate_ratios(stepper.optimizer, settings.learning_rate)
    seed = derive_seed(settings.base_seed, "order", settings.seed, settings.replica)
    waiting = Waiting()
    flat = (chunk for chunks in _micro_batches(run, seed) for chunk in chunks)
    read = open_reader(run.workload, run.splits.train, flat, seed, settings.device, waiting)
    noise = _injected_noise(run)
    stepper.model.train()
    yield
    for chunks in _micro_batches(run, seed):
        count = sum(map(len, chunks))
        factor = learning_rate_factor(settings.schedule, run.examples / total, (run.examples + count) / total)
        run.learning_rate = settings.learning_rate * factor
        for group, ratio in zip(groups, ratios, strict=True):
            group["lr"] = run.learning_rate * ratio
        if noise is not None:
            noise.draw(count)
        loss_sum, loss_count = train_step(stepper, chunks, read)
        run.loss_sum = run.loss_sum + loss_sum
        run.loss_count = run.loss_count + loss_count
        run.examples += count
        run.steps += 1
        if run.examples >= next_due or run.steps == settings.n_steps:
            while next_due <= run.examples:
                next_due = next(due, math.inf)
            run.loading_s = waiting.seconds
            yield


def _injected_noise(run: _Run) -> InjectedNoise | None:
    settings = run.settings
    if settings.noise_batch_size is None:
        return None
    seed = derive_seed(settings.base_seed, "noise", settings.seed, settings.replica)
    return InjectedNoise(run.stepper.model, settings.noise_batch_size, seed)


def _micro_batches(run: _Run, seed: int) -> Iterator[Sequence[Tensor]]:
    """Return the example indices of each step, split where they do not go through the model at once."""
    settings, orders = run.settings, epochs(run.workload, run.splits.train, seed)
    stream = batches(orders, settings.batch_size, settings.n_steps, settings.last_batch)
    return micro_batches(stream, run.micro_batch_size)


def _may_end(run: _Run) -> bool:
    stop = run.settings.stop
    return stop is not None and may_end(stop, run.examples, [row[-1] for row in run.rows])


def _record(run: _Run) -> None:
    started = time.perf_counter()
    train_loss = float(run.loss_sum) / float(run.loss_count) if run.steps and run.loss_count else math.nan
    valid_loss, valid_metric = run.validation(run.stepper.model)
    # A weight that has overflowed can hide behind a bounded metric: the training loss counts as well.
    if run.loss_count and not math.isfinite(train_loss):
        valid_loss = math.nan
    run.rows.append((run.examples, run.steps, run.learning_rate, train_loss, valid_loss, valid_metric))
    run.evaluation_s += time.perf_counter() - started
    run.loss_sum, run.loss_count = 0.0, 0


def _result(run: _Run, baseline: float, started: float) -> TrialResult:
    """Close the trial: training and test data are looked at once, here, and only in a confirmed trial."""
    is_finite = all(math.isfinite(value) for value in run.rows[-1][4:])
    confirmed = is_finite and run.settings.purpose in ("confirm", "control")
    came_to_its_end = "done" if run.steps == run.settings.n_steps else "stopped"

    def closing(split: Any) -> tuple[float | None, float | None]:
        if not confirmed or split is None:
            return None, None
        return Evaluation(run.workload, split, run.settings.device)(run.stepper.model)

    train, test = closing(run.splits.train), closing(run.splits.test)
    return TrialResult(
        settings=run.settings,
        status=came_to_its_end if is_finite else "diverged",
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
        seconds=time.perf_counter() - started,
        host=platform.node(),
        versions=versions(),
        micro_batch_size=run.micro_batch_size,
        loading_s=run.loading_s,
        evaluation_s=run.evaluation_s,
    )


def versions() -> tuple[tuple[str, str], ...]:
    """Return the versions a result depends on, by name."""
    return (
        ("batchlab", __version__),
        ("numpy", numpy.__version__),
        ("python", platform.python_version()),
        ("torch", str(torch.__version__)),
    )


def _cuda_devices(device: str) -> list[torch.device]:
    return [torch.device(device)] if device.startswith("cuda") else []
