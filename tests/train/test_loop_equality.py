"""The loop against plain PyTorch scripts, in float64: every one of 50 losses, in every kind of workload."""

import random
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint
from torch.utils.data import Dataset

from batchlab.records import Schedule, TrialSettings
from batchlab.train.seeding import derive_seed
from batchlab.train.trial import run_trial
from batchlab.workload import Metric, Workload

N, BATCH, STEPS = 61, 8, 50
Loss = Callable[[nn.Module, Any], tuple[Tensor, Any]]


def settings(last_batch: str = "keep", **changes: Any) -> TrialSettings:
    """Return 50 steps, each of them evaluated, so that the curve has the loss of every step."""
    seen, points = 0, []
    for step in range(STEPS):
        ragged = last_batch == "keep" and step % 8 == 7
        seen += N % BATCH if ragged else BATCH
        points.append(seen)
    plain: dict[str, Any] = {
        "workload": "w",
        "fingerprint": "",
        "batch_size": BATCH,
        "learning_rate": 0.05,
        "n_steps": STEPS,
        "optimizer": "sgd",
        "optimizer_settings": (("momentum", 0.9),),
        "schedule": Schedule(),
        "last_batch": last_batch,
        "evaluate_at": tuple(points),
        "base_seed": 0,
        "seed": 3,
        "replica": 0,
        "purpose": "tune",
        "device": "cpu",
    }
    return TrialSettings(**(plain | changes))


def index_batches(trial: TrialSettings) -> Iterator[Tensor]:
    """Yield the examples of each step, made as the settings say and in no other way than `range` and slices."""
    generator = torch.Generator().manual_seed(derive_seed(0, "order", trial.seed, 0))
    left: list[int] = []
    while True:
        order = left + torch.randperm(N, generator=generator).tolist()
        left = []
        for start in range(0, len(order), BATCH):
            rows = order[start : start + BATCH]
            if len(rows) < BATCH and trial.last_batch != "keep":
                left = rows if trial.last_batch == "carry" else []
                continue
            yield torch.tensor(rows)


def plain_losses(
    trial: TrialSettings,
    make_model: Callable[[], nn.Module],
    make_optimizer: Callable[[nn.Module], torch.optim.Optimizer],
    read: Callable[[list[int], int], Any],
    loss_of: Loss,
    *,
    clip: float | None = None,
    micro: int | None = None,
    factor: Callable[[int], float] = lambda seen: 1.0,
) -> list[float]:
    """Train as a script would, and return the mean loss of every step; sums over micro-batches are taken literally."""
    torch.manual_seed(derive_seed(0, "weights", trial.seed))
    model = make_model()
    torch.manual_seed(derive_seed(0, "training", trial.seed, 0))
    optimizer = make_optimizer(model)
    first_rates = [group["lr"] for group in optimizer.param_groups]
    losses, position, seen = [], 0, 0
    for _, rows in zip(range(STEPS), index_batches(trial), strict=False):
        for group, rate in zip(optimizer.param_groups, first_rates, strict=True):
            group["lr"] = rate * factor(seen)
        parts = [rows] if micro is None else list(rows.split(micro))
        optimizer.zero_grad()
        total, count = torch.zeros(()), 0
        for part in parts:
            loss_sum, n = loss_of(model, read(part.tolist(), position))
            position += 1
            total, count = total + loss_sum, count + n
        (total / count).backward()
        if clip is not None:
            torch.nn.utils.clip_grad_norm_(model.parameters(), clip)
        optimizer.step()
        seen += len(rows)
        losses.append(float((total / count).detach()))
    return losses


def loop_losses(workload: Workload, trial: TrialSettings) -> list[float]:
    """Return the loss of every step of the loop."""
    curve = run_trial(workload, trial).curve
    assert len(curve.train_loss) == STEPS + 1
    return list(curve.train_loss[1:])


def agree(workload: Workload, trial: TrialSettings, expected: list[float], rel: float = 1e-11) -> None:
    """Check that the losses fell, and that they are the expected ones."""
    assert expected[-1] < expected[0]
    assert loop_losses(workload, trial) == pytest.approx(expected, rel=rel)


def points(n: int, seed: int) -> tuple[Tensor, Tensor]:
    """Return inputs (n, 5) in float64 and labels of two classes."""
    inputs = torch.randn(n, 5, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return inputs, (inputs[:, 0] + 0.3 * inputs[:, 1] > 0).long()


def small_net() -> nn.Module:
    return nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Dropout(0.2), nn.Linear(8, 2)).double()


def sgd(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)


def cross_entropy_sum(model: nn.Module, batch: tuple[Tensor, Tensor]) -> tuple[Tensor, int]:
    return functional.cross_entropy(model(batch[0]), batch[1], reduction="sum"), len(batch[1])


@pytest.mark.parametrize("last_batch", ["carry", "drop", "keep"])
@pytest.mark.parametrize("micro", [None, 3])
def test_a_class_of_a_cell_on_tensors(last_batch: str, micro: int | None) -> None:
    inputs, targets = points(N, 1)
    trial = settings(last_batch, micro_batch_size=micro)

    def read(rows: list[int], position: int) -> tuple[Tensor, Tensor]:
        return inputs[rows], targets[rows]

    workload = Workload("w", small_net, (inputs, targets), points(20, 2))
    agree(workload, trial, plain_losses(trial, small_net, sgd, read, cross_entropy_sum, micro=micro))


class Texts(Dataset[dict[str, Any]]):
    """Token lists of two to nine tokens, whose class is whether the first token is even."""

    def __init__(self, n: int, seed: int) -> None:
        generator = np.random.default_rng(seed)
        self.items = [generator.integers(1, 20, generator.integers(2, 10)).tolist() for _ in range(n)]

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return {"tokens": self.items[index], "label": self.items[index][0] % 2}


def padded(items: list[dict[str, Any]]) -> dict[str, Tensor]:
    longest = max(len(item["tokens"]) for item in items)
    rows = [item["tokens"] + [0] * (longest - len(item["tokens"])) for item in items]
    tokens = torch.tensor(rows)
    return {"tokens": tokens, "mask": tokens == 0, "label": torch.tensor([item["label"] for item in items])}


class Encoder(nn.Module):
    """One layer of attention over the tokens that are not padding, and their mean."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(20, 16, padding_idx=0)
        self.attend = nn.MultiheadAttention(16, 2, batch_first=True)
        self.head = nn.Linear(16, 2)
        self.double()

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        x = self.embed(tokens)
        x = x + self.attend(x, x, x, key_padding_mask=mask, need_weights=False)[0]
        kept = (~mask).unsqueeze(-1)
        return self.head((x * kept).sum(1) / kept.sum(1))  # type: ignore[no-any-return]


def token_loss(model: nn.Module, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    """Weigh every example by its number of tokens, so that counts of micro-batches differ."""
    n_tokens = (~batch["mask"]).sum(1)
    losses = functional.cross_entropy(model(batch["tokens"], batch["mask"]).double(), batch["label"], reduction="none")
    return (losses * n_tokens).sum(), n_tokens.sum()


@pytest.mark.parametrize("micro", [None, 3])
def test_a_transformer_on_dictionaries_with_padding_autocast_and_clipping(micro: int | None) -> None:
    texts = Texts(N, 1)
    trial = settings(micro_batch_size=micro, learning_rate=0.02, optimizer="adamw", optimizer_settings=())
    workload = Workload(
        "w",
        Encoder,
        texts,
        Texts(20, 2),
        step=token_loss,
        collate=padded,
        optimizer="adamw",
        optimizer_settings={"lr": 0.02},
        autocast="bfloat16",
        clip_norm=0.5,
    )

    def mixed_loss(model: nn.Module, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        with torch.autocast("cpu", torch.bfloat16):
            return token_loss(model, batch)

    expected = plain_losses(
        trial,
        Encoder,
        lambda model: torch.optim.AdamW(model.parameters(), lr=0.02),
        lambda rows, position: padded([texts[row] for row in rows]),
        mixed_loss,
        clip=0.5,
        micro=micro,
    )
    # In bfloat16 a gradient may be rounded otherwise where it is summed in another order.
    agree(workload, trial, expected, rel=1e-11 if micro is None else 1e-2)


class Jittered(Dataset[tuple[Tensor, Tensor]]):
    """Points with noise from all three global generators."""

    def __init__(self, n: int, seed: int) -> None:
        self.inputs, self.targets = points(n, seed)

    def __len__(self) -> int:
        return len(self.inputs)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        noise = 0.1 * torch.randn(5, dtype=torch.float64) + 0.1 * np.random.standard_normal() + 0.1 * random.random()
        return self.inputs[index] + noise, self.targets[index]


@pytest.mark.parametrize(("num_workers", "micro"), [(0, 3), (2, None)])
def test_random_augmentation_is_seeded_by_batch_whatever_reads_it(num_workers: int, micro: int | None) -> None:
    data = Jittered(N, 1)
    trial = settings(micro_batch_size=micro)
    workload = Workload("w", small_net, data, points(20, 2), num_workers=num_workers)
    seed = derive_seed(0, "order", trial.seed, 0)

    def read(rows: list[int], position: int) -> tuple[Tensor, Tensor]:
        batch_seed = derive_seed(seed, "batch", position)
        with torch.random.fork_rng():
            torch.manual_seed(batch_seed)
            np.random.seed(batch_seed % 2**32)
            random.seed(batch_seed)
            items = [data[row] for row in rows]
        return torch.stack([item[0] for item in items]), torch.stack([item[1] for item in items])

    agree(workload, trial, plain_losses(trial, small_net, sgd, read, cross_entropy_sum, micro=micro))


def test_a_hugging_face_dataset() -> None:
    datasets = pytest.importorskip("datasets")
    inputs, targets = points(N, 1)
    table = datasets.Dataset.from_dict({"x": inputs.float().tolist(), "label": targets.tolist()})
    trial = settings()

    def loss_sum(model: nn.Module, batch: dict[str, Tensor]) -> tuple[Tensor, int]:
        return cross_entropy_sum(model, (batch["x"].double(), batch["label"]))

    def read(rows: list[int], position: int) -> dict[str, Tensor]:
        return {"x": inputs[rows].float(), "label": targets[rows]}

    workload = Workload("w", small_net, table, table.select(range(20)), step=loss_sum)
    agree(workload, trial, plain_losses(trial, small_net, sgd, read, loss_sum))


def two_groups(params: list[nn.Parameter], keywords: dict[str, Any]) -> torch.optim.Optimizer:
    """Decay matrices only; biases learn at twice the rate."""
    rate = keywords["lr"]
    return torch.optim.AdamW(
        [
            {"params": [one for one in params if one.ndim > 1], "weight_decay": keywords["weight_decay"]},
            {"params": [one for one in params if one.ndim <= 1], "weight_decay": 0.0, "lr": 2 * rate},
        ],
        lr=rate,
    )


def test_an_optimizer_with_two_groups_under_a_schedule() -> None:
    inputs, targets = points(N, 1)
    trial = settings(
        "carry",
        optimizer="two_groups",
        optimizer_settings=(("weight_decay", 0.1),),
        schedule=Schedule("step", milestones=(0.5,)),
    )
    workload = Workload(
        "w", small_net, (inputs, targets), points(20, 2), optimizer=two_groups, optimizer_settings={"lr": 0.05}
    )
    expected = plain_losses(
        trial,
        small_net,
        lambda model: two_groups(list(model.parameters()), {"lr": 0.05, "weight_decay": 0.1}),
        lambda rows, position: (inputs[rows], targets[rows]),
        cross_entropy_sum,
        factor=lambda seen: 0.1 if seen >= STEPS * BATCH / 2 else 1.0,
    )
    agree(workload, trial, expected)


@pytest.mark.parametrize("micro", [None, 5])
def test_regression(micro: int | None) -> None:
    inputs, _ = points(N, 1)
    targets = inputs.sum(dim=1, keepdim=True)

    def mean_square(outputs: Tensor, wanted: Tensor) -> Tensor:
        return functional.mse_loss(outputs, wanted)

    def square_sum(model: nn.Module, batch: tuple[Tensor, Tensor]) -> tuple[Tensor, int]:
        return (model(batch[0]) - batch[1]).square().sum(), len(batch[1])

    def line() -> nn.Module:
        return nn.Linear(5, 1).double()

    trial = settings("carry", learning_rate=0.01, micro_batch_size=micro)
    workload = Workload(
        "w",
        line,
        (inputs, targets),
        (inputs, targets),
        loss=mean_square,
        metric=Metric("squared error", mean_square, higher_is_better=False),
    )

    def optimizer(model: nn.Module) -> torch.optim.Optimizer:
        return torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)

    def read(rows: list[int], position: int) -> tuple[Tensor, Tensor]:
        return inputs[rows], targets[rows]

    agree(workload, trial, plain_losses(trial, line, optimizer, read, square_sum, micro=micro))


def test_loss_scaling_in_float16() -> None:
    inputs, targets = (one.float() if one.is_floating_point() else one for one in points(N, 1))

    def net() -> nn.Module:
        return nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 2))

    trial = settings("carry")
    workload = Workload("w", net, (inputs, targets), (inputs, targets), autocast="float16", clip_norm=1.0)
    torch.manual_seed(derive_seed(0, "weights", trial.seed))
    model = net()
    optimizer, scaler, expected = sgd(model), torch.amp.GradScaler("cpu"), []
    for _, rows in zip(range(STEPS), index_batches(trial), strict=False):
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.float16):
            loss = functional.cross_entropy(model(inputs[rows]), targets[rows])
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        scaler.step(optimizer)
        scaler.update()
        expected.append(float(loss.detach()))
    agree(workload, trial, expected, rel=1e-4)


def test_frozen_and_tied_parameters_and_a_pretrained_start() -> None:
    inputs, targets = points(N, 1)

    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second, self.head = nn.Linear(5, 5), nn.Linear(5, 5), nn.Linear(5, 2)
            self.second.weight = self.first.weight
            self.head.bias.requires_grad_(False)
            self.double()

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.second(self.first(x).tanh()))  # type: ignore[no-any-return]

    torch.manual_seed(5)
    start = Tied()
    before = [parameter.clone() for parameter in start.parameters()]
    trial = settings("carry")

    def same_start() -> nn.Module:
        model = Tied()
        model.load_state_dict(start.state_dict())
        return model

    def read(rows: list[int], position: int) -> tuple[Tensor, Tensor]:
        return inputs[rows], targets[rows]

    workload = Workload("w", start, (inputs, targets), points(20, 2))
    agree(workload, trial, plain_losses(trial, same_start, sgd, read, cross_entropy_sum))
    assert all(map(torch.equal, before, start.parameters()))


def test_batch_norm_sees_micro_batches() -> None:
    """The one case in which accumulation is not the large batch: it must differ, and evaluation stay as it was."""
    inputs, targets = points(N, 1)

    def net() -> nn.Module:
        return nn.Sequential(nn.Linear(5, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Linear(8, 2)).double()

    workload = Workload("w", net, (inputs, targets), points(20, 2))
    whole, split = (loop_losses(workload, settings("carry", micro_batch_size=size)) for size in (None, 4))
    assert whole != pytest.approx(split, rel=1e-3)


class Checkpointed(nn.Module):
    """A network that computes its middle again in the backward pass instead of keeping it."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(5, 8), nn.Linear(8, 2)
        self.double()

    def forward(self, x: Tensor) -> Tensor:
        return self.last(checkpoint(lambda y: self.first(y).tanh(), x, use_reentrant=False))  # type: ignore[no-any-return]


def test_activation_checkpointing_is_the_models_own_business() -> None:
    inputs, targets = points(N, 1)
    trial = settings("carry")

    def read(rows: list[int], position: int) -> tuple[Tensor, Tensor]:
        return inputs[rows], targets[rows]

    workload = Workload("w", Checkpointed, (inputs, targets), points(20, 2))
    agree(workload, trial, plain_losses(trial, Checkpointed, sgd, read, cross_entropy_sum))


def test_a_compiled_model_trains_like_the_plain_one() -> None:
    inputs, targets = points(N, 1)

    def plain() -> nn.Module:
        return nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 2)).double()

    def compiled() -> nn.Module:
        return torch.compile(plain(), backend="eager")  # type: ignore[return-value]

    losses = [
        loop_losses(Workload("w", make, (inputs, targets), points(20, 2)), settings("carry"))
        for make in (plain, compiled)
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-12)
