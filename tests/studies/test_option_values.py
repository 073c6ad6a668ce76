import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchlab.errors import UsageError
from batchlab.studies.option_values import read_batch_sizes


def refusal(call, *arguments):
    with pytest.raises(UsageError) as caught:
        call(*arguments)
    return str(caught.value)


@given(st.integers(0, 12), st.integers(0, 12))
def test_a_range_means_its_powers_of_two(first, more):
    low, high = 2**first, 2 ** (first + more)
    assert read_batch_sizes(f"{low}:{high}") == tuple(2**k for k in range(first, first + more + 1))


@given(st.integers(1, 500), st.integers(0, 500))
def test_a_range_keeps_all_powers_of_two_within_it_and_no_others(low, more):
    wanted = tuple(size for size in range(low, low + more + 1) if bin(size).count("1") == 1)
    text = f"{low}:{low + more}"
    if wanted:
        assert read_batch_sizes(text) == wanted
    else:
        assert "has a power of two in it" in refusal(read_batch_sizes, text)


@given(st.lists(st.integers(1, 10**6), min_size=1, unique=True))
def test_a_list_means_its_sizes_in_order(sizes):
    assert read_batch_sizes(",".join(map(str, sizes))) == tuple(sorted(sizes))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("8:4", "A range of batch sizes goes from low to high, got '8:4'; write 4:8."),
        ("8,16,8", "Each batch size is studied once, got 8, 16, 8; write 8,16."),
        ("0:8", "Batch sizes are whole numbers of at least 1, got 0; remove it."),
        ("8,-4", "Batch sizes are whole numbers of at least 1, got -4; remove it."),
        (
            "5:7",
            "A range of batch sizes has a power of two in it, got '5:7'; write 4:8, or list the sizes, as in 5,8.",
        ),
        *(
            (
                text,
                f"Batch sizes are a range or a list of whole numbers, got {text!r}; write 8:512 or 8,24,64, for "
                "example.",
            )
            for text in ("banana", "", "8:", "8:16:32", "8,,16", "8.5", "8:512,600")
        ),
    ],
)
def test_batch_sizes_that_mean_nothing_are_refused(text, message):
    assert refusal(read_batch_sizes, text) == message
