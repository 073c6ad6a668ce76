"""Contestants of `engine.py` that need torch, and Optuna: each function imports what it needs and returns a run.

A run trains a fresh network on a case from a seed and evaluates it after every epoch, as a careful user of that library
would write it. It returns the last validation loss, by which one sees that everybody has done the same work.
"""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from engine_cases import (
    EPOCHS,
    EVALUATION_BATCH,
    LEARNING_RATE,
    MODELS,
    MOMENTUM,
    Case,
    Data,
    make_optimizer,
    workload_of,
)

Run = Callable[[Case, Data, int], float]
Batches = Callable[[], Iterator[tuple[Tensor, Tensor]]]


def bare() -> Run:
    """Return a loop on tensors: a permutation an epoch, rows picked by index."""

    def run(case: Case, data: Data, seed: int) -> float:
        inputs, targets = data.train

        def batches() -> Iterator[tuple[Tensor, Tensor]]:
            for rows in torch.randperm(len(targets)).split(case.batch_size):
                yield inputs[rows], targets[rows]

        def slices() -> Iterator[tuple[Tensor, Tensor]]:
            return zip(data.valid[0].split(EVALUATION_BATCH), data.valid[1].split(EVALUATION_BATCH), strict=True)

        torch.manual_seed(seed)
        return _train(case, batches, slices, lambda *_: None)

    return run


def data_loader() -> Run:
    """Return the loop of the tutorials: `TensorDataset` and `DataLoader`, no loader processes."""

    def run(case: Case, data: Data, seed: int) -> float:
        torch.manual_seed(seed)
        return _train(case, *_loaders(case, data), lambda *_: None)

    return run


def optuna() -> Run:
    """Return a study of one trial, a `DataLoader` loop that reports after every epoch; storage in memory."""
    import optuna as library

    library.logging.set_verbosity(library.logging.WARNING)

    def run(case: Case, data: Data, seed: int) -> float:
        def objective(trial: library.Trial) -> float:
            # One value: every contestant trains at the same rate.
            trial.suggest_float("lr", LEARNING_RATE, LEARNING_RATE)
            return _train(case, *_loaders(case, data), lambda epoch, loss: trial.report(loss, epoch))

        torch.manual_seed(seed)
        study = library.create_study(sampler=library.samplers.RandomSampler(seed))
        study.optimize(objective, n_trials=1)
        return float(study.best_value)

    return run


def trial() -> Run:
    """Return the reference loop alone: one trial in this process, without driver and store."""
    from batchlab.records import Schedule, TrialSettings
    from batchlab.train.budgets import evaluation_points
    from batchlab.train.trial import run_trial

    def run(case: Case, data: Data, seed: int) -> float:
        settings = TrialSettings(
            workload="engine",
            fingerprint="",
            batch_size=case.batch_size,
            learning_rate=LEARNING_RATE,
            n_steps=case.n_steps,
            optimizer="sgd",
            optimizer_settings=(("momentum", MOMENTUM),),
            schedule=Schedule(),
            last_batch="carry",
            evaluate_at=evaluation_points(case.n_steps * case.batch_size),
            base_seed=seed,
            seed=0,
            replica=0,
            purpose="confirm",
            device="cpu",
        )
        return run_trial(workload_of(case, data), settings).valid_loss

    return run


def _train(case: Case, batches: Batches, valid: Batches, report: Callable[[int, float], None]) -> float:
    """Train a fresh network, tell `report` (epoch, validation loss) after each epoch, and return the last loss."""
    model = MODELS[case.model]()
    optimizer = make_optimizer(model.parameters())
    loss_now = 0.0
    for epoch in range(EPOCHS):
        model.train()
        for inputs, targets in batches():
            optimizer.zero_grad()
            functional.cross_entropy(model(inputs), targets).backward()
            optimizer.step()
        loss_now, _ = _evaluate(model, valid())
        report(epoch, loss_now)
    return loss_now


@torch.no_grad()
def _evaluate(model: nn.Module, batches: Iterator[tuple[Tensor, Tensor]]) -> tuple[float, float]:
    """Return the mean loss and the error rate."""
    model.eval()
    loss = wrong = 0.0
    count = 0
    for inputs, targets in batches:
        outputs = model(inputs)
        loss += functional.cross_entropy(outputs, targets, reduction="sum").item()
        wrong += (outputs.argmax(1) != targets).sum().item()
        count += len(targets)
    return loss / count, wrong / count


def _loaders(case: Case, data: Data) -> tuple[Batches, Batches]:
    train = DataLoader(TensorDataset(*data.train), case.batch_size, shuffle=True)
    valid = DataLoader(TensorDataset(*data.valid), EVALUATION_BATCH)
    return train.__iter__, valid.__iter__
