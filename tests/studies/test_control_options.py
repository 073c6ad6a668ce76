import dataclasses

import pytest

from batchlab.analyze import controls
from batchlab.errors import UsageError
from batchlab.studies.control_options import CONTROLS, read_controls, read_noise_batch_size, read_permute_labels
from simulated import INFO

NORMED = dataclasses.replace(INFO, batch_norm="features.1")
OWN_STEP = dataclasses.replace(INFO, has_pairs=False, takes_weights=False)


def mistakes(call, *arguments, **keywords):
    with pytest.raises(UsageError) as caught:
        call(*arguments, **keywords)
    return caught.value.mistakes


def test_the_names_are_those_of_the_table_of_controls() -> None:
    assert tuple(controls.CONTROLS) == CONTROLS


@pytest.mark.parametrize("given", ["aa,lr", ["aa", "lr", "aa"], ("lr", "aa")])
def test_controls_can_be_given_in_several_ways_and_have_one_order(given) -> None:
    assert read_controls(given, INFO) == ("lr", "aa")


def test_unknown_controls_are_refused() -> None:
    assert mistakes(read_controls, ["lr", "luck"], INFO) == (
        "`controls` is lr, equal-updates, extra-training, noise, aa or random-labels, got 'luck'; choose one of these.",
    )


def test_a_control_has_no_controls() -> None:
    assert mistakes(read_controls, "lr", INFO, of_one_size=32) == (
        "A study of one batch size (32) is a control itself, got `controls` beside it; leave them out.",
    )


def test_noise_is_refused_where_batch_norm_mixes_examples() -> None:
    expected = "{} weights examples, and batch norm (module features.1) mixes them; leave it out."
    assert mistakes(read_controls, "noise", NORMED) == (expected.format("The control noise"),)
    assert mistakes(read_noise_batch_size, 8, NORMED) == (expected.format("`noise_batch_size`"),)


def test_controls_that_need_pairs_of_inputs_and_targets_are_refused_together_without_them() -> None:
    assert mistakes(read_controls, "noise,random-labels", OWN_STEP) == (
        "The control noise weights examples, and the loss of simulated is not the mean of theirs; leave it out.",
        "The control random-labels permutes targets, and the batches of simulated are not (inputs, targets); leave it "
        "out.",
    )


def test_labels_are_permuted_of_pairs_only_and_by_a_truth_value() -> None:
    assert mistakes(read_permute_labels, True, OWN_STEP) == (
        "`permute_labels` permutes targets, and the batches of simulated are not (inputs, targets); leave it out.",
    )
    assert mistakes(read_permute_labels, "yes", INFO) == ("`permute_labels` is true or false, got 'yes'; correct it.",)
    assert read_permute_labels(False, OWN_STEP) is False
