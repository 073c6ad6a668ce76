import pytest
import torch
from torch import nn

from batchlab.train import reading
from batchlab.train.evaluation import Evaluation
from batchlab.workload import Workload


def test_ragged_chunks_are_weighted_by_their_examples(monkeypatch: pytest.MonkeyPatch) -> None:
    inputs, targets = torch.randn(100, 3), torch.randint(0, 2, (100,))
    workload = Workload("w", lambda: nn.Linear(3, 2), (inputs, targets), (inputs, targets))
    model = workload.make_model()
    whole = Evaluation(workload, (inputs, targets))(model)
    monkeypatch.setattr(reading, "ARRAYS_AT_ONCE", 7)
    assert Evaluation(workload, (inputs, targets))(model) == pytest.approx(whole)


def test_the_mode_is_left_as_found_and_dropout_is_off() -> None:
    inputs, targets = torch.randn(50, 3), torch.randint(0, 2, (50,))
    workload = Workload(
        "w", lambda: nn.Sequential(nn.Dropout(0.9), nn.Linear(3, 2)), (inputs, targets), (inputs, targets)
    )
    model = workload.make_model().train()
    assert Evaluation(workload, (inputs, targets))(model) == Evaluation(workload, (inputs, targets))(model)
    assert model.training
