import re

import pytest
import torch

from batchlab.measure.batches import count_examples, in_chunks, single_examples


def test_dictionaries_and_tuples_are_cut_alike():
    batch = {"x": torch.arange(5), "pair": (torch.arange(10).view(5, 2), "kept")}
    parts = list(in_chunks(batch, 2))
    assert [count_examples(part) for part in parts] == [2, 2, 1]
    assert parts[2]["pair"][0].tolist() == [[8, 9]] and parts[2]["pair"][1] == "kept"


def test_single_examples_keep_their_dimension():
    assert [one.shape for one in single_examples(torch.zeros(2, 3))] == [(1, 3), (1, 3)]


def test_a_batch_of_unlike_lengths_is_refused():
    expected = (
        "A batch must hold tensors that have the examples in their first dimension, got tensors of [2, 3] examples; "
        "give the number of examples of each batch yourself."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(expected)}$"):
        count_examples((torch.zeros(2), torch.zeros(3)))
