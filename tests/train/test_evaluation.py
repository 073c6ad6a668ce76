import pytest
import torch
from torch import nn

from batchlab.train import reading
from batchlab.train.evaluation import evaluate
from batchlab.train.reading import evaluation_batches
from batchlab.workload import Workload


def test_ragged_chunks_are_weighted_by_their_examples(monkeypatch: pytest.MonkeyPatch) -> None:
    inputs, targets = torch.randn(100, 3), torch.randint(0, 2, (100,))
    workload = Workload("w", lambda: nn.Linear(3, 2), (inputs, targets), (inputs, targets))
    model = workload.make_model()
    whole = evaluate(model, workload, evaluation_batches(workload, (inputs, targets)))
    monkeypatch.setattr(reading, "ARRAYS_AT_ONCE", 7)
    assert evaluate(model, workload, evaluation_batches(workload, (inputs, targets))) == pytest.approx(whole)


def test_the_mode_is_left_as_found_and_dropout_is_off() -> None:
    inputs, targets = torch.randn(50, 3), torch.randint(0, 2, (50,))
    workload = Workload(
        "w", lambda: nn.Sequential(nn.Dropout(0.9), nn.Linear(3, 2)), (inputs, targets), (inputs, targets)
    )
    model = workload.make_model().train()
    assert evaluate(model, workload, evaluation_batches(workload, (inputs, targets))) == evaluate(
        model, workload, evaluation_batches(workload, (inputs, targets))
    )
    assert model.training
