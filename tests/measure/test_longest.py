import numpy
import torch

from batchlab.measure.longest import longest_first


def test_items_of_any_kind_are_ordered_by_their_elements() -> None:
    items = [
        {"tokens": [1, 2, 3], "label": 1},
        (torch.zeros(2, 4), 0),
        "text",
        numpy.zeros((3, 4)),
        [torch.zeros(5), [1, 2]],
        7,
    ]
    assert longest_first(items) == [3, 1, 4, 0, 2, 5]


def test_of_a_large_dataset_a_sample_is_read() -> None:
    read = []

    class Large:
        def __len__(self) -> int:
            return 10**6

        def __getitem__(self, index: int) -> range:
            read.append(index)
            return [0] * (index % 7)

    order = longest_first(Large(), most=100)
    assert len(read) == len(set(order)) == 100
    assert [index % 7 for index in order] == sorted((index % 7 for index in order), reverse=True)
