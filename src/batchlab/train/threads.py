"""How many threads may serve a step."""


def thread_counts(most: int) -> tuple[int, ...]:
    """Return the numbers of threads worth a try: all, a quarter of them, and so on down to one.

    >>> thread_counts(2), thread_counts(64)
    ((2, 1), (64, 16, 4, 1))
    """
    counts = [most]
    while counts[-1] > 1:
        counts.append(max(1, counts[-1] // 4))
    return tuple(counts)
