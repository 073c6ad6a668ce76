import torch
from torch.utils.data import TensorDataset

from batchlab.train.permuted_labels import permuted
from batchlab.train.reading import read_batch
from batchlab.train.trial import run_trial
from batchlab.workload import Splits
from cases import tiny_classifier
from train_settings import settings


def pairs(n_examples: int) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.arange(n_examples).float().reshape(-1, 1), torch.arange(n_examples)


def test_labels_are_permuted_in_every_split_and_inputs_stay() -> None:
    splits = Splits(pairs(50), pairs(40), pairs(30))
    found = permuted(splits, seed=1)
    for name in ("train", "valid", "test"):
        (inputs, targets), (own_inputs, own_targets) = getattr(found, name), getattr(splits, name)
        assert inputs is own_inputs
        assert not torch.equal(targets, own_targets)
        assert torch.equal(targets.sort().values, own_targets)


def test_the_permutation_follows_from_the_seed() -> None:
    splits = Splits(pairs(50), pairs(40))
    first, again, other = (permuted(splits, seed).train[1] for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert permuted(splits, 1).test is None


def test_a_dataset_gives_each_item_the_label_of_another() -> None:
    splits = Splits(TensorDataset(*pairs(50)), TensorDataset(*pairs(40)))
    arrays = permuted(Splits(pairs(50), pairs(40)), seed=1).train
    inputs, targets = read_batch(tiny_classifier(), permuted(splits, seed=1).train, list(range(50)))
    assert torch.equal(inputs, arrays[0])
    assert torch.equal(targets, arrays[1])


def test_a_trial_on_permuted_labels_learns_nothing() -> None:
    """Three classes: a constant guess errs on two thirds; 48 examples, so that .4 is 4 standard deviations below."""
    plain, shuffled = (
        run_trial(tiny_classifier(), settings(n_steps=60, permute_labels=flag)) for flag in (False, True)
    )
    assert plain.valid_metric < 0.3
    assert shuffled.valid_metric > 0.4
