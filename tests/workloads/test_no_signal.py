import numpy as np

from batchlab.workloads.no_signal import draw_no_signal, no_signal


def test_the_sizes_are_those_of_the_source():
    splits = no_signal().splits(0)
    assert [tuple(pair[0].shape) for pair in (splits.train, splits.valid, splits.test)] == [
        (1000, 20),
        (200, 20),
        (200, 20),
    ]


def test_all_splits_are_drawn_anew_from_the_seed():
    first, again, other = draw_no_signal(1), draw_no_signal(1), draw_no_signal(2)
    for split in ("train", "valid", "test"):
        for part in (0, 1):
            assert np.array_equal(getattr(first, split)[part], getattr(again, split)[part])
            assert not np.array_equal(getattr(first, split)[part], getattr(other, split)[part])


def test_labels_do_not_depend_on_the_inputs():
    # 20 seeds x 1,000 examples. Each of the 20 correlations, and the share of ones, is within 4.5 standard errors of
    # what independence gives but with probability 7e-6 each, 1.4e-4 in all.
    drawn = [draw_no_signal(seed).train for seed in range(20)]
    inputs, labels = (np.concatenate([pair[part] for pair in drawn]) for part in (0, 1))
    bound = 4.5 / np.sqrt(len(labels))
    assert abs(labels.mean() - 0.5) < bound / 2
    assert max(abs(np.corrcoef(column, labels)[0, 1]) for column in inputs.T) < bound
