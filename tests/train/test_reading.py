import gc
import multiprocessing

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from batchlab.train.reading import Waiting, evaluation_batches, open_reader, read_batch, to_device
from batchlab.train.trial import run_trial
from batchlab.workload import Metric, Workload
from cases import blobs, mean_squared, random_state, tiny_classifier
from train_settings import settings


class Noisy(Dataset[Tensor]):
    """Random numbers around the index."""

    def __len__(self) -> int:
        return 10

    def __getitem__(self, index: int) -> Tensor:
        return index + torch.rand(1)


def noisy_workload(num_workers: int = 0) -> Workload:
    return Workload(
        "w", lambda: nn.Linear(1, 1), Noisy(), Noisy(), step=lambda model, batch: (model(batch).sum(), len(batch)),
        num_workers=num_workers,
    )  # fmt: skip


def test_random_items_follow_from_the_seed_and_the_position_and_leave_the_generators_alone() -> None:
    chunks = [torch.tensor([1, 2]), torch.tensor([2, 1]), torch.tensor([1, 2])]
    before = random_state()
    waiting = Waiting()
    readers = [open_reader(noisy_workload(), Noisy(), chunks, seed, "cpu", waiting) for seed in (4, 4, 5)]
    read = [[reader(chunk) for chunk in chunks] for reader in readers]
    assert all(map(torch.equal, read[0], read[1]))
    assert not torch.equal(read[0][0], read[0][2])
    assert not torch.equal(read[0][0], read[2][0])
    assert waiting.seconds > 0
    assert random_state() == before


def test_loader_processes_end_with_the_trial() -> None:
    gc.disable()
    try:
        read = open_reader(noisy_workload(num_workers=1), Noisy(), [torch.tensor([1])], 0, "cpu")
        read(torch.tensor([1]))
        assert len(multiprocessing.active_children()) == 1
        del read
        assert multiprocessing.active_children() == []
    finally:
        gc.enable()


def test_an_evaluation_gives_random_items_once_and_for_all() -> None:
    batches = evaluation_batches(noisy_workload(), Noisy(), 4)
    first, second = list(batches()), list(batches())
    assert [n for _, n in first] == [4, 4, 2]
    assert all(torch.equal(one[0], other[0]) for one, other in zip(first, second, strict=True))


def test_a_batch_of_any_shape_reaches_the_device() -> None:
    batch = {"x": torch.zeros(2), "more": [torch.ones(1), "text"], "n": 3}
    assert to_device(batch, "cpu") == {"x": batch["x"], "more": (torch.ones(1), "text"), "n": 3}


def test_one_batch_of_nested_tensors_is_picked_by_index() -> None:
    data = {"a": torch.arange(5), "b": (torch.arange(5) * 2, torch.arange(5) * 3)}
    picked = read_batch(tiny_classifier(), data, [4, 0])
    assert picked["a"].tolist() == [4, 0]
    assert [part.tolist() for part in picked["b"]] == [[8, 0], [12, 0]]


def test_class_weights_in_a_loss_module_count() -> None:
    weighted = nn.CrossEntropyLoss(weight=torch.tensor([10.0, 1.0, 1.0]))
    plain, heavy = (
        run_trial(tiny_classifier(loss=loss), settings(n_steps=20)) for loss in (nn.CrossEntropyLoss(), weighted)
    )
    assert plain.curve.train_loss != heavy.curve.train_loss


def test_a_sampler_decides_which_examples_are_seen() -> None:
    seen: list[int] = []

    def only_three(train: object, generator: torch.Generator) -> list[int]:
        return [index * 3 for index in torch.randperm(8, generator=generator).tolist()]

    def watched(model: nn.Module, batch: tuple[Tensor, Tensor]) -> tuple[Tensor, int]:
        if model.training:
            seen.extend(batch[1].tolist())
        return (model(batch[0])[:, 0] * 0).sum() + model(batch[0]).square().sum(), len(batch[1])

    inputs = torch.randn(24, 4)
    workload = Workload(
        "w", lambda: nn.Linear(4, 3), (inputs, torch.arange(24)), (inputs, torch.arange(24)), step=watched,
        sampler=only_three,
    )  # fmt: skip
    run_trial(workload, settings(batch_size=4, n_steps=4, optimizer_settings=()))
    assert sorted(seen[:8]) == sorted(seen[8:]) == list(range(0, 24, 3))


def test_a_metric_that_is_the_loss_is_computed_once() -> None:
    calls = []

    def counted(outputs: Tensor, targets: Tensor) -> Tensor:
        calls.append(len(outputs))
        return mean_squared(outputs, targets)

    inputs = torch.randn(8, 4)
    workload = Workload(
        "w", lambda: nn.Linear(4, 1), (inputs, inputs[:, :1]), (inputs, inputs[:, :1]), loss=counted,
        metric=Metric("mse", counted), baseline="initial",
    )  # fmt: skip
    result = run_trial(workload, settings(n_steps=1, purpose="tune", evaluate_at=()))
    assert result.valid_loss == result.valid_metric
    # The baseline, the untrained model, one step, the trained model.
    assert len(calls) == 4


@pytest.mark.parametrize("purpose", ["tune", "confirm"])
def test_too_little_memory_halves_the_micro_batch_and_keeps_the_gradient(purpose: str) -> None:
    class Limited(nn.Linear):
        limit = 10**9

        def forward(self, x: Tensor) -> Tensor:
            if len(x) > self.limit:
                raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")
            return super().forward(x)

    data = blobs(96, seed=1)
    trial = settings(batch_size=24, n_steps=12, purpose=purpose)
    workload = tiny_classifier(model=lambda: Limited(4, 3), train=data)
    whole = run_trial(workload, trial)
    Limited.limit = 7
    split = run_trial(workload, trial)
    assert (whole.micro_batch_size, split.micro_batch_size) == (24, 6)
    assert split.curve.train_loss[1:] == pytest.approx(whole.curve.train_loss[1:], rel=1e-4)
    Limited.limit = 0
    with pytest.raises(RuntimeError, match="out of memory"):
        run_trial(workload, trial)
