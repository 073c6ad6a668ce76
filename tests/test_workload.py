import dataclasses
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from batchlab.errors import WorkloadError
from batchlab.workload import Metric, Splits, Workload, accuracy, check_splits, cross_entropy, error
from cases import tiny_classifier


def message_of(make) -> str:
    with pytest.raises(WorkloadError) as caught:
        make()
    return str(caught.value)


PAIR = (np.zeros((3, 2)), np.zeros(3, dtype=int))


@pytest.mark.parametrize(
    ("given_dtype", "kept"),
    [("float64", torch.float32), ("float16", torch.float32), ("uint8", torch.int64), ("bool", torch.int64)],
)
def test_arrays_become_the_dtype_torch_expects(given_dtype, kept):
    inputs, _ = tiny_classifier(train=(np.ones((3, 2), given_dtype), np.zeros(3))).train
    assert inputs.dtype == kept
    assert inputs.tolist() == [[1, 1]] * 3


def test_tensors_keep_their_dtype():
    pair = torch.zeros(3, 2, dtype=torch.float64), torch.zeros(3, dtype=torch.int32)
    assert [part.dtype for part in tiny_classifier(train=pair).train] == [torch.float64, torch.int32]


def test_a_read_only_array_is_copied_without_a_warning():
    array = np.ones((3, 2), dtype=np.float32)
    array.setflags(write=False)
    inputs, _ = tiny_classifier(train=(array, np.zeros(3))).train
    inputs[0, 0] = 7
    assert array[0, 0] == 1


@pytest.mark.parametrize(
    ("data", "came"),
    [
        (5, "of type int, which lacks `__len__` or `__getitem__`; collect the examples into tensors"),
        (([1.0], [2]), "list and list; collect the examples into tensors"),
        ((np.array(["a"]), np.zeros(1)), "<U1 array and float64 array; collect the examples into tensors"),
        (
            {"train": TensorDataset(torch.zeros(3))},
            "a dictionary of datasets; pass one of them, as in data['train']",
        ),
        (
            DataLoader(TensorDataset(torch.zeros(3))),
            "a DataLoader, which has a batch size of its own; pass its `.dataset`, and its `collate_fn` as `collate`",
        ),
        (
            (number for number in range(3)),
            "of type generator, which cannot be read in random order; give it `__getitem__`",
        ),
    ],
)
def test_data_that_are_none_are_named(data, came):
    assert message_of(lambda: tiny_classifier(valid=data)) == (
        "Workload 'tiny': `valid` must be (inputs, targets), a dictionary of tensors or arrays, or a map-style "
        f"dataset, but is {came}."
    )


def test_data_and_draw_together_are_refused():
    assert message_of(lambda: tiny_classifier(draw=lambda seed: seed)) == (
        "Workload 'tiny' must have its data either in `train` and `valid` or from `draw`, but got `draw` and `train`; "
        "leave one of them out."
    )


def test_missing_validation_data_are_refused():
    assert message_of(lambda: Workload("mine", nn.Identity(), PAIR)) == (
        "Workload 'mine' needs training and validation data, but `valid` is missing; pass `train` and `valid`, or "
        "`draw`."
    )


def test_drawn_data_follow_from_the_seed_and_are_converted():
    def draw(seed):
        return Splits((np.full((3, 2), float(seed)), PAIR[1]), PAIR)

    workload = Workload("mine", nn.Identity(), draw=draw)
    assert workload.splits(5).train[0].tolist() == [[5, 5]] * 3
    assert workload.splits(5).train[0].dtype == torch.float32
    assert workload.splits(5).test is None


def test_fixed_data_are_the_same_for_all_seeds():
    workload = tiny_classifier()
    assert workload.splits(0).valid[0] is workload.splits(1).valid[0]


def test_a_draw_that_returns_something_else_is_named():
    workload = Workload("mine", nn.Identity(), draw=lambda seed: (PAIR, PAIR))
    assert message_of(lambda: workload.splits(0)) == (
        "Workload 'mine': `draw(seed)` must return Splits(train, valid, test), but returned tuple; "
        "wrap its parts in batchlab.workload.Splits."
    )


@pytest.mark.parametrize(
    ("split", "pair", "message"),
    [
        (
            "train",
            (torch.zeros(4, 2), torch.zeros(3)),
            "Workload 'tiny': training inputs and targets must have the same length, but there are 4 inputs and "
            "3 targets; give each example one of both.",
        ),
        (
            "valid",
            (torch.zeros(0, 2), torch.zeros(0)),
            "Workload 'tiny': the validation set must hold at least one example, but is empty; add examples, or take "
            "some from another split.",
        ),
        (
            "test",
            (torch.zeros(0, 2), torch.zeros(0)),
            "Workload 'tiny': the test set must hold at least one example, but is empty; add examples, or pass "
            "`test=None`.",
        ),
        (
            "train",
            (torch.tensor([[0, 1], [np.nan, 2], [np.inf, np.nan]]), torch.zeros(3)),
            "Workload 'tiny': training inputs must be finite, but 2 of 3 examples hold NaN or infinity, the first at "
            "index 1; repair or remove them.",
        ),
        (
            "valid",
            (torch.zeros(3, 2), torch.tensor([0.0, 1.0, -np.inf])),
            "Workload 'tiny': validation targets must be finite, but 1 of 3 examples hold NaN or infinity, the first "
            "at index 2; repair or remove them.",
        ),
        (
            "train",
            (torch.tensor(1.0), torch.zeros(3)),
            "Workload 'tiny': training inputs must have one entry an example, but are a single number; make the first "
            "dimension count the examples.",
        ),
    ],
)
def test_unusable_data_are_refused_with_what_is_wrong(split, pair, message):
    workload = tiny_classifier()
    splits = dataclasses.replace(workload.splits(0), **{split: pair})
    assert message_of(lambda: check_splits(workload, splits)) == message


def test_sound_data_pass():
    workload = tiny_classifier(test=None)
    check_splits(workload, workload.splits(0))


def test_a_module_is_copied_so_that_training_leaves_it_alone():
    module = nn.Linear(4, 3)
    before = module.weight.clone()
    made = tiny_classifier(model=module).make_model()
    made.weight.data.add_(1)
    assert torch.equal(module.weight, before)
    assert torch.equal(made.weight, before + 1)


def test_a_fresh_model_follows_from_the_random_state():
    workload, weights = tiny_classifier(), []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        weights.append(workload.make_model().weight)
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_a_model_that_is_no_module_is_named():
    assert message_of(tiny_classifier(model=lambda: 3).make_model) == (
        "Workload 'tiny': `model()` must return a torch.nn.Module, but returned int; "
        "return the module that maps inputs to outputs."
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"baseline": "zero"},
            "Workload 'tiny': `baseline` must be 'constant' or 'initial', but is 'zero'; "
            "use 'initial' where constant outputs mean nothing.",
        ),
        (
            {"metric": error.function},
            "Workload 'tiny': `metric` must be a batchlab.Metric, but is function; see help(batchlab.Workload).",
        ),
        ({"loss": "mse"}, "Workload 'tiny': `loss` must be callable, but is str; see help(batchlab.Workload)."),
        (
            {"optimizer_settings": {"lr": 0}},
            "Workload 'tiny': the learning rate `lr` must be above 0, but is 0; give the one you would start from.",
        ),
        (
            {"default_batch_size": 0},
            "Workload 'tiny': `default_batch_size` must be above 0, but is 0; leave it out to use the default.",
        ),
    ],
)
def test_a_wrong_choice_is_named(change, message):
    assert message_of(lambda: tiny_classifier(**change)) == message


@pytest.mark.parametrize(
    ("optimizer", "settings", "completed"),
    [
        ("sgd", None, {"lr": 0.05, "momentum": 0.9}),
        ("sgd", {"momentum": 0.5}, {"lr": 0.05, "momentum": 0.5}),
        ("adam", None, {"lr": 1e-3}),
        ("adam", {"lr": 0.5, "eps": 1e-4}, {"lr": 0.5, "eps": 1e-4}),
    ],
)
def test_a_learning_rate_is_always_there(optimizer, settings, completed):
    assert tiny_classifier(optimizer=optimizer, optimizer_settings=settings).optimizer_settings == completed


def test_a_margin_of_zero_is_refused():
    assert message_of(lambda: Metric("loss", cross_entropy, margin=0.0)) == (
        "The margin of metric 'loss' must be above 0, but is 0; "
        "use the difference that would not matter, or None for 1 % of the best value."
    )


def test_a_workload_can_be_pickled():
    copied = pickle.loads(pickle.dumps(tiny_classifier()))
    assert torch.equal(copied.train[0], tiny_classifier().train[0])


@settings(deadline=None)
@given(st.lists(st.tuples(st.lists(st.floats(-9, 9, width=32), min_size=3, max_size=3), st.integers(0, 2)), min_size=1))
def test_error_accuracy_and_cross_entropy_agree_with_their_definitions(rows):
    logits = np.array([row[0] for row in rows])
    labels = np.array([row[1] for row in rows])
    outputs, targets = torch.tensor(logits), torch.tensor(labels)
    wrong = sum(int(np.argmax(row)) != label for row, label in zip(logits, labels, strict=True)) / len(rows)
    nats = np.mean([np.log(np.exp(row).sum()) - row[label] for row, label in zip(logits, labels, strict=True)])
    assert float(error.function(outputs, targets)) == pytest.approx(wrong)
    assert float(accuracy.function(outputs, targets)) == pytest.approx(1 - wrong)
    assert float(cross_entropy(outputs, targets)) == pytest.approx(nats, abs=1e-9)


def test_error_and_accuracy_point_in_opposite_directions_with_one_margin():
    assert (error.higher_is_better, accuracy.higher_is_better) == (False, True)
    assert error.margin == accuracy.margin == 0.005
