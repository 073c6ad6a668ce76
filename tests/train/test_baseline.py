import functools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from batchlab.train.baseline import baseline_metric, best_constant
from batchlab.train.evaluation import Evaluation
from batchlab.workload import Metric, cross_entropy
from cases import N_CLASSES, N_INPUTS, blobs, random_state, tiny_classifier, tiny_regression


def baseline(workload, model=None) -> float:
    splits = workload.splits(0)
    validation = Evaluation(workload, splits.valid)
    return baseline_metric(workload, splits.train, model or workload.make_model(), validation)


@settings(max_examples=10, deadline=None)
@given(st.lists(st.integers(0, 2), min_size=4, max_size=40).filter(lambda labels: len(set(labels)) == 3))
def test_the_best_constant_of_cross_entropy_is_the_log_class_frequencies(labels):
    workload = tiny_classifier(train=(np.zeros((len(labels), N_INPUTS)), np.array(labels)))
    found = best_constant(workload, workload.splits(0).train, workload.make_model())
    frequencies = np.bincount(labels) / len(labels)
    np.testing.assert_allclose(torch.log_softmax(found, dim=0).numpy(), np.log(frequencies), atol=2e-3)


def test_the_best_constant_of_squared_error_is_the_mean():
    workload = tiny_regression()
    found = best_constant(workload, workload.splits(0).train, workload.make_model())
    assert float(found) == pytest.approx(float(workload.train[1].mean()), abs=1e-4)


def test_the_baseline_of_error_is_that_of_the_largest_class():
    workload = tiny_classifier()
    largest = np.bincount(workload.train[1]).argmax()
    assert baseline(workload) == pytest.approx(float((workload.valid[1] != largest).float().mean()))


def test_a_class_without_training_examples_is_no_obstacle():
    inputs, labels = blobs(40, seed=1)
    labels[labels == 2] = 0
    assert 0 < baseline(tiny_classifier(train=(inputs, labels), metric=Metric("loss", cross_entropy))) < 100


def test_sorted_training_data_give_all_their_classes(monkeypatch):
    monkeypatch.setattr("batchlab.train.baseline.MOST_TARGETS", 30)
    labels = np.repeat([0, 1, 2], [100, 100, 400])
    workload = tiny_classifier(train=(np.zeros((600, N_INPUTS)), labels))
    found = best_constant(workload, workload.splits(0).train, workload.make_model())
    np.testing.assert_allclose(torch.softmax(found, dim=0).numpy(), [1 / 6, 1 / 6, 2 / 3], atol=0.02)


def negative_mean(outputs, targets):
    return -outputs.mean()


def refuses_constants(outputs, targets):
    if outputs.stride(0) == 0:
        raise ValueError("these outputs are all alike")
    return cross_entropy(outputs, targets)


@pytest.mark.parametrize(
    "change",
    [{"baseline": "initial"}, {"loss": negative_mean}, {"loss": refuses_constants}],
    ids=["asked for", "unbounded", "fails"],
)
def test_without_a_best_constant_the_baseline_is_the_untrained_model(change):
    workload = tiny_classifier(**change)
    model = workload.make_model()
    assert baseline(workload, model) == Evaluation(workload, workload.splits(0).valid)(model)[1]


def test_the_model_is_left_as_found():
    model = nn.Sequential(nn.Linear(N_INPUTS, N_CLASSES), nn.Dropout(0.5), nn.BatchNorm1d(N_CLASSES))
    model[2].eval()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    state = random_state()
    baseline(tiny_classifier(), model)
    assert [module.training for module in model.modules()] == [True, True, True, False]
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())
    assert random_state() == state


def test_the_baseline_works_where_gradients_are_switched_off():
    workload = tiny_classifier()
    with torch.no_grad():
        assert baseline(workload) == baseline(workload)


def test_outputs_of_any_shape_have_a_best_constant():
    targets = np.arange(24.0).reshape(4, 2, 3)
    workload = tiny_regression(
        model=functools.partial(nn.Sequential, nn.Linear(N_INPUTS, 6), nn.Unflatten(1, (2, 3))),
        train=(np.zeros((4, N_INPUTS)), targets),
        valid=(np.zeros((4, N_INPUTS)), targets),
    )
    found = best_constant(workload, workload.splits(0).train, workload.make_model())
    np.testing.assert_allclose(found.numpy(), targets.mean(axis=0), atol=1e-3)
    assert baseline(workload) == pytest.approx(targets.var(axis=0).mean(), rel=1e-4)
