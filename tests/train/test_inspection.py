import dataclasses
import functools
import itertools
import platform
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn

from batchlab.errors import WorkloadError
from batchlab.train.inspection import inspect_workload
from batchlab.workload import Metric, Splits, Workload, accuracy, cross_entropy, error
from batchlab.workloads.loading import load_workload
from cases import (
    N_CLASSES,
    N_INPUTS,
    blobs,
    mean_squared,
    random_state,
    tiny_classifier,
    tiny_regression,
    write_image_set,
)


def fingerprint(workload: Workload) -> str:
    return inspect_workload(workload, "tiny").fingerprint


def message_of(workload: Workload) -> str:
    with pytest.raises(WorkloadError) as caught:
        inspect_workload(workload, "tiny")
    return str(caught.value)


def test_the_record_tells_what_a_study_must_know():
    info = inspect_workload(tiny_classifier(optimizer_settings={"momentum": 0.9, "lr": 0.1}), "file.py:tiny")
    assert dataclasses.replace(info, fingerprint="") == type(info)(
        name="tiny",
        reference="file.py:tiny",
        fingerprint="",
        n_train=96,
        n_valid=48,
        n_test=48,
        n_parameters=15,
        metric="error",
        higher_is_better=False,
        margin=0.005,
        margin_is_relative=False,
        unit="example",
        optimizer="sgd",
        optimizer_settings=(("lr", 0.1), ("momentum", 0.9)),
        default_batch_size=8,
        default_epochs=2,
        redraws=False,
        inspected_on=platform.node(),
    )
    assert len(info.fingerprint) == 64


def test_a_metric_without_margin_has_one_percent():
    info = inspect_workload(tiny_regression(), "line")
    assert (info.margin, info.margin_is_relative, info.n_test) == (0.01, True, 0)


def test_settings_that_are_lists_are_stored_as_tuples():
    workload = tiny_classifier(optimizer="adam", optimizer_settings={"lr": 0.1, "betas": [0.9, 0.99]})
    assert inspect_workload(workload, "tiny").optimizer_settings == (("betas", (0.9, 0.99)), ("lr", 0.1))


@pytest.mark.parametrize("name", ["digits-mlp", "digits-cnn", "no-signal", "quadratic"])
def test_a_built_in_workload_passes(name):
    info = inspect_workload(load_workload(name), name)
    assert info.redraws == (name != "quadratic")


def test_the_random_state_and_the_threads_are_left_as_found():
    state, threads = random_state(), torch.get_num_threads()
    inspect_workload(tiny_classifier(), "tiny")
    assert (random_state(), torch.get_num_threads()) == (state, threads)


def test_the_fingerprint_does_not_depend_on_the_random_state():
    with torch.random.fork_rng(devices=[]):
        first = fingerprint(tiny_classifier())
        torch.manual_seed(12345)
        assert fingerprint(tiny_classifier()) == first


def test_the_fingerprint_is_the_same_in_another_process():
    code = (
        "import torch; from batchlab.workloads.loading import load_workload; from batchlab.train.inspection import *; "
        "torch.set_num_threads(2); torch.rand(3); "
        "[print(inspect_workload(load_workload(n), n).fingerprint) for n in ('no-signal', 'quadratic')]"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert done == [fingerprint(load_workload(name)) for name in ("no-signal", "quadratic")]


def test_the_same_data_in_another_folder_have_the_same_fingerprint(tmp_path):
    for folder in ("here", "there"):
        write_image_set(tmp_path / folder)
    first, second = (
        inspect_workload(load_workload("mnist-cnn", data_dir=tmp_path / folder), "mnist-cnn").fingerprint
        for folder in ("here", "there")
    )
    assert first == second


def smoothed(amount, outputs, targets):
    return nn.functional.cross_entropy(outputs, targets, label_smoothing=amount)


def with_dropout(share):
    return nn.Sequential(nn.Linear(N_INPUTS, N_CLASSES), nn.Dropout(share))


def with_activation(activation):
    return nn.Sequential(nn.Linear(N_INPUTS, 8), activation(), nn.Linear(8, N_CLASSES))


def frozen_bias():
    model = nn.Linear(N_INPUTS, N_CLASSES)
    model.bias.requires_grad_(False)
    return model


def edited(pair):
    inputs = pair[0].copy()
    inputs[17, 2] += 1e-3
    return inputs, pair[1]


CHANGES = {
    "another width": {"model": functools.partial(with_activation, nn.ReLU)},
    "another activation": {"model": functools.partial(with_activation, nn.Tanh)},
    "dropout": {"model": functools.partial(with_dropout, 0.1)},
    "more dropout": {"model": functools.partial(with_dropout, 0.2)},
    "a frozen weight": {"model": frozen_bias},
    "label smoothing": {"loss": functools.partial(smoothed, 0.1)},
    "more label smoothing": {"loss": functools.partial(smoothed, 0.11)},
    "another metric": {"metric": accuracy},
    "the metric's other direction": {"metric": Metric("error", error.function, higher_is_better=True)},
    "one more example": {"train": blobs(97, seed=1)},
    "one edited number": {"train": edited(blobs(96, seed=1))},
    "other test data": {"test": blobs(48, seed=4)},
    "no test data": {"test": None},
    "targets of another dtype": {"valid": (blobs(48, seed=2)[0], torch.tensor(blobs(48, seed=2)[1]).byte().long())},
}


def test_every_change_of_model_data_or_loss_changes_the_fingerprint():
    seen = {"as it was": fingerprint(tiny_classifier())}
    seen |= {name: fingerprint(tiny_classifier(**change)) for name, change in CHANGES.items()}
    same = [pair for pair in itertools.combinations(seen, 2) if seen[pair[0]] == seen[pair[1]]]
    assert same == [("as it was", "targets of another dtype")]


def test_what_trials_record_anyway_leaves_the_fingerprint_alone():
    first = fingerprint(tiny_classifier())
    assert fingerprint(tiny_classifier(name="other", default_epochs=7, optimizer_settings={"lr": 3.0})) == first


def test_data_are_checked_first():
    assert message_of(tiny_classifier(train=(np.zeros((3, 4)), np.zeros(2)))) == (
        "Workload 'tiny': training inputs and targets must have the same length, but there are 3 inputs and 2 targets; "
        "give each example one of both."
    )


def test_inputs_the_model_does_not_take_are_named():
    assert message_of(tiny_classifier(model=nn.Linear(7, 3))) == (
        "Workload 'tiny', training data: the model must take inputs of shape (2, 4) (float32), but raised "
        "RuntimeError: mat1 and mat2 shapes cannot be multiplied (2x4 and 7x3); "
        "mend the model, or give it the inputs it is made for."
    )


def test_outputs_that_do_not_fit_the_loss_are_named():
    def picky_loss(outputs, targets):
        if outputs.shape != targets.shape:
            raise ValueError(f"{outputs.shape[1]} outputs for {targets.shape[1]} targets.")
        return mean_squared(outputs, targets)

    assert message_of(tiny_regression(loss=picky_loss, valid=(np.zeros((3, 4)), np.zeros((3, 7))))) == (
        "Workload 'line', validation data: the loss must take outputs of shape (2, 1) (float32) and targets of shape "
        "(2, 7) (float32), but picky_loss raised ValueError: 1 outputs for 7 targets; change the model's outputs, the "
        "targets or the loss so that they fit."
    )


def test_labels_with_a_dimension_too_many_are_named():
    assert message_of(tiny_classifier(valid=(np.zeros((3, 4)), np.zeros((3, 1), dtype=int)))) == (
        "Workload 'tiny', validation data: class labels must be one number an example, but the targets are of shape "
        "(3, 1) (int64); flatten them, as in targets.squeeze(1)."
    )


def test_a_model_that_returns_more_than_logits_is_named():
    class Pair(nn.Linear):
        def forward(self, x):
            return super().forward(x), x

    assert message_of(tiny_classifier(model=lambda: Pair(N_INPUTS, N_CLASSES))) == (
        "Workload 'tiny', training data: the model must return the logits, one tensor, but returned a tuple of 2; "
        "return the logits alone, or give a `loss` and a `metric` that take what it returns."
    )


def test_a_label_out_of_range_is_named():
    assert message_of(tiny_classifier(model=nn.Linear(4, 1))) == (
        "Workload 'tiny', training data: class labels must lie between 0 and 0, as the model has 1 outputs, but lie "
        "between 0 and 2; number the classes from 0, or give the model more outputs."
    )


def test_outputs_that_do_not_fit_the_metric_are_named():
    def picky(outputs, targets):
        raise KeyError("classes")

    assert message_of(tiny_classifier(metric=Metric("picky", picky))) == (
        "Workload 'tiny', training data: the metric must take outputs of shape (2, 3) (float32) and targets of shape "
        "(2,) (int64), but picky raised KeyError: 'classes'; "
        "change the model's outputs, the targets or the metric so that they fit."
    )


def test_a_loss_that_is_no_number_is_named():
    assert message_of(tiny_classifier(loss=functools.partial(nn.functional.cross_entropy, reduction="none"))) == (
        "Workload 'tiny', training data: the loss must be one number, the mean over the batch, but cross_entropy "
        "returned shape (2,) (float32) for outputs of shape (2, 3) (float32) and targets of shape (2,) (int64); "
        "take the mean."
    )


def test_a_sum_in_place_of_a_mean_is_named():
    def ones(outputs, targets):
        return torch.ones(len(outputs)).sum()

    assert message_of(tiny_classifier(loss=ones)) == (
        "Workload 'tiny', training data: the loss must be a mean over the batch, but doubles when the batch is "
        "repeated, from 2 to 4: it is a sum; divide it by the number of examples."
    )


def test_a_model_that_does_not_follow_from_the_seed_is_named():
    counter = itertools.count()

    def model():
        made = nn.Linear(N_INPUTS, N_CLASSES)
        made.bias.data.fill_(next(counter))
        return made

    assert message_of(tiny_classifier(model=model)) == (
        "Workload 'tiny': `model()` must give the same weights under the same seed, but gave others the second time; "
        "take all its randomness from torch, NumPy or `random`."
    )


def test_data_that_do_not_follow_from_the_seed_are_named():
    counter = itertools.count()

    def draw(seed):
        return Splits(blobs(20, next(counter)), blobs(20, 1))

    workload = Workload("mine", nn.Linear(N_INPUTS, N_CLASSES), draw=draw, loss=cross_entropy)
    assert message_of(workload) == (
        "Workload 'mine': `draw(seed)` must give the same data for the same seed, but gave others the second time; "
        "take all its randomness from the seed."
    )


def refused(**changes):
    with pytest.raises(WorkloadError) as caught:
        inspect_workload(tiny_classifier(**changes), "tiny")
    return str(caught.value)


def test_labels_that_do_not_start_at_zero_are_told_by_their_range():
    inputs, targets = tiny_classifier().splits(0).train
    assert refused(train=(inputs, targets + 1)).endswith(
        f"class labels must lie between 0 and {N_CLASSES - 1}, as the model has {N_CLASSES} outputs, but lie between "
        f"1 and {N_CLASSES}; number the classes from 0, or give the model more outputs."
    )


def test_the_default_metric_refuses_targets_that_are_no_classes():
    inputs, targets = tiny_classifier().splits(0).train
    message = refused(
        train=(inputs, targets.float().reshape(-1, 1)), loss=lambda outputs, wanted: (outputs - wanted).square().mean()
    )
    assert "the metric 'error' compares class indices, one an example, but the targets are of shape" in message
    assert message.endswith("pass `metric=Metric(name, function)` that fits them.")


def test_a_metric_without_a_return_value_is_no_number():
    message = refused(metric=Metric("nothing", lambda outputs, targets: None))
    assert "the metric must be one number, the mean over the batch, but <lambda> returned type NoneType" in message


def test_a_model_with_nothing_to_train_is_refused():
    assert refused(model=lambda: nn.Linear(N_INPUTS, N_CLASSES).requires_grad_(False)).endswith(
        "the model must have parameters to train, but none has `requires_grad`; make them nn.Parameter, or unfreeze "
        "some."
    )


def half_loss(model, batch):
    return nn.functional.cross_entropy(model(batch[0]), batch[1]), len(batch[1])


def counted_once(model, batch):
    return nn.functional.cross_entropy(model(batch[0]), batch[1], reduction="sum"), 1


def test_a_step_that_returns_a_mean_for_a_sum_is_named():
    assert message_of(tiny_classifier(loss=cross_entropy, step=half_loss)) == (
        "Workload 'tiny', training data: the step must return a sum and the number it is a sum over, which both double "
        "when an example is given twice, but its sum grew 1-fold and its count 2-fold; multiply a mean by its count."
    )


def test_a_step_that_counts_nothing_is_named():
    assert message_of(tiny_classifier(step=counted_once)) == (
        "Workload 'tiny', training data: the step must return a sum and the number it is a sum over, which both double "
        "when an example is given twice, but its sum grew 2-fold and its count 1-fold; count the examples or tokens of "
        "the batch."
    )


def test_a_step_that_returns_one_number_is_named():
    assert message_of(tiny_classifier(step=lambda model, batch: model(batch[0]).sum())) == (
        "Workload 'tiny', training data: the step must return (sum, count), two numbers, but returned shape () "
        "(float32); return the sum of the losses and the number of examples or tokens in it."
    )


def test_a_dictionary_without_a_step_is_named():
    data = {"x": torch.zeros(4, 2), "y": torch.zeros(4)}
    assert message_of(tiny_classifier(train=data, valid=data, test=None)) == (
        "Workload 'tiny', training data: a batch must be (inputs, targets), but is a dictionary with x, y; give "
        "`step(model, batch) -> (loss_sum, count)` for batches of another shape."
    )


def test_a_loss_without_a_gradient_is_named():
    workload = tiny_classifier(loss=lambda outputs, targets: cross_entropy(outputs.detach(), targets))
    assert message_of(workload) == (
        "Workload 'tiny': the loss must be a tensor that depends on the model's trained parameters, but no gradient "
        "reaches them; leave out `detach`, `item` and `no_grad` on the way."
    )


def test_a_sampler_that_ignores_its_generator_is_named():
    workload = tiny_classifier(sampler=lambda train, generator: torch.randperm(96))
    assert message_of(workload) == (
        "Workload 'tiny': the sampler must draw from the generator it is given, but gave other indices for the same "
        "seed; pass it on, as in WeightedRandomSampler(weights, n, generator=generator)."
    )


def test_a_sampler_beyond_the_data_is_named():
    assert message_of(tiny_classifier(sampler=lambda train, generator: range(90, 100))) == (
        "Workload 'tiny': the sampler must give indices between 0 and 95, one of a training example each, but gave "
        "some between 90 and 99; correct it."
    )


def test_a_sampler_decides_how_long_an_epoch_is():
    assert inspect_workload(tiny_classifier(sampler=lambda train, generator: range(10)), "t").n_train == 10


def test_modules_that_see_the_whole_batch_are_found():
    model = functools.partial(nn.Sequential, nn.Linear(4, 3), nn.BatchNorm1d(3))
    assert inspect_workload(tiny_classifier(model=model), "t").batch_norm == "1"


def test_an_optimizer_setting_that_cannot_be_stored_is_named():
    assert message_of(tiny_classifier(optimizer_settings={"foreach": None})) == (
        "Workload 'tiny': the optimizer setting 'foreach' must be a number, true or false, a text or a tuple of "
        "numbers, as it is stored, but is of type NoneType; set it in a function "
        "(params, settings) -> Optimizer instead."
    )
