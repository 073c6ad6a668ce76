import dataclasses
import math

import pytest
import torch
from torch import nn
from torch.nn import functional

from batchlab.records import Schedule, TrialSettings
from batchlab.train.seeding import derive_seed
from batchlab.train.trial import run_trial
from batchlab.workload import Splits, Workload


def linear_workload(n_train: int = 60) -> Workload:
    """Return a small float64 problem with a few hundred numbers in all."""
    generator = torch.Generator().manual_seed(11)
    inputs = torch.randn(n_train + 40, 5, generator=generator, dtype=torch.float64)
    targets = (inputs[:, 0] + 0.3 * inputs[:, 1] > 0).long()
    return Workload(
        "line",
        lambda: nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 2)).double(),
        (inputs[:n_train], targets[:n_train]),
        (inputs[n_train:], targets[n_train:]),
        (inputs[n_train:], targets[n_train:]),
    )


def settings(**changes: object) -> TrialSettings:
    """Return the settings of a trial of 25 steps, changed as asked."""
    plain = TrialSettings(
        workload="line",
        fingerprint="",
        batch_size=8,
        learning_rate=0.1,
        n_steps=25,
        optimizer="sgd",
        optimizer_settings=(("momentum", 0.9),),
        schedule=Schedule(),
        last_batch="carry",
        evaluate_at=(8, 64, 200),
        base_seed=0,
        seed=0,
        replica=0,
        purpose="confirm",
        device="cpu",
    )
    return dataclasses.replace(plain, **changes)  # type: ignore[arg-type]


def plain_script(workload: Workload, trial: TrialSettings) -> float:
    """Train as a PyTorch tutorial would, sharing no code with the loop but the names of the seeds; final loss."""
    splits = workload.splits(derive_seed(trial.base_seed, "data", trial.seed))
    (inputs, targets), (valid_inputs, valid_targets) = splits.train, splits.valid
    torch.manual_seed(derive_seed(trial.base_seed, "weights", trial.seed))
    model = workload.make_model()
    classes = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam, "adamw": torch.optim.AdamW}
    optimizer = classes[trial.optimizer](
        model.parameters(), lr=trial.learning_rate, foreach=False, **dict(trial.optimizer_settings)
    )
    generator = torch.Generator().manual_seed(derive_seed(trial.base_seed, "order", trial.seed, trial.replica))
    stream = torch.cat([torch.randperm(len(inputs), generator=generator) for _ in range(50)])
    total = trial.n_steps * trial.batch_size
    for step in range(trial.n_steps):
        if trial.schedule.kind == "cosine":
            for group in optimizer.param_groups:
                group["lr"] = trial.learning_rate * 0.5 * (1 + math.cos(math.pi * step * trial.batch_size / total))
        rows = stream[step * trial.batch_size : (step + 1) * trial.batch_size]
        optimizer.zero_grad()
        functional.cross_entropy(model(inputs[rows]), targets[rows]).backward()
        optimizer.step()
    with torch.no_grad():
        return float(functional.cross_entropy(model(valid_inputs), valid_targets))


@pytest.mark.parametrize(
    ("optimizer", "optimizer_settings", "schedule"),
    [
        ("sgd", (), "constant"),
        ("sgd", (("momentum", 0.9), ("nesterov", True), ("weight_decay", 0.01)), "cosine"),
        ("adam", (("betas", (0.8, 0.99)),), "constant"),
        ("adamw", (("weight_decay", 0.1),), "cosine"),
    ],
)
def test_the_loop_equals_a_plain_script(
    optimizer: str, optimizer_settings: tuple[tuple[str, object], ...], schedule: str
) -> None:
    trial = settings(optimizer=optimizer, optimizer_settings=optimizer_settings, schedule=Schedule(schedule))
    result = run_trial(linear_workload(), trial)
    assert result.valid_loss == pytest.approx(plain_script(linear_workload(), trial), rel=1e-11)


def test_the_same_settings_give_the_same_bits_whatever_ran_before() -> None:
    workload = linear_workload()
    first = run_trial(workload, settings())
    torch.manual_seed(99)
    run_trial(workload, settings(seed=3))
    assert run_trial(workload, settings()).curve.valid_loss == first.curve.valid_loss


def test_a_replica_changes_the_order_of_the_data_and_nothing_else() -> None:
    first, second = (run_trial(linear_workload(), settings(replica=replica)) for replica in (0, 1))
    assert first.curve.valid_loss[0] == second.curve.valid_loss[0]
    assert first.curve.valid_loss[1] != second.curve.valid_loss[1]


def test_trials_are_evaluated_after_the_same_examples_at_every_batch_size() -> None:
    points = (40, 80, 120, 200)
    for batch_size in (1, 5, 8, 40):
        curve = run_trial(
            linear_workload(), settings(batch_size=batch_size, n_steps=200 // batch_size, evaluate_at=points)
        ).curve
        assert curve.examples == (0, *points)
        assert curve.steps == tuple(examples // batch_size for examples in curve.examples)


def test_divergence_is_a_result_that_keeps_the_curve_up_to_it() -> None:
    diverging = Workload(
        "grows",
        lambda: nn.Linear(5, 1),
        (torch.randn(60, 5), torch.randn(60, 1)),
        (torch.randn(20, 5), torch.randn(20, 1)),
        loss=lambda outputs, targets: ((outputs - targets) ** 2).mean(),
        metric=_mean_square(),
    )
    result = run_trial(diverging, settings(learning_rate=1e30, optimizer_settings=()))
    assert result.status == "diverged"
    assert result.steps < 25
    assert math.isfinite(result.curve.valid_loss[0])
    assert result.test_metric is None


def _mean_square() -> object:
    from batchlab.workload import Metric

    return Metric("squared error", lambda outputs, targets: ((outputs - targets) ** 2).mean())


def test_tuning_trials_never_see_test_data() -> None:
    result = run_trial(linear_workload(), settings(purpose="tune"))
    assert (result.test_loss, result.test_metric, result.train_metric) == (None, None, None)
    assert run_trial(linear_workload(), settings()).test_metric is not None


def test_the_random_state_is_left_as_found() -> None:
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    run_trial(linear_workload(), settings())
    assert torch.equal(torch.rand(3), expected)


def test_redrawn_data_follow_the_seed() -> None:
    drawn: list[int] = []

    def draw(seed: int) -> Splits:
        drawn.append(seed)
        return linear_workload().splits(0)

    workload = Workload("line", linear_workload().make_model, None, None, draw=draw)
    for seed, base_seed in ((0, 0), (1, 0), (0, 1), (0, 0)):
        run_trial(workload, settings(seed=seed, base_seed=base_seed, n_steps=1))
    assert drawn[0] == drawn[3]
    assert len(set(drawn)) == 3
