"""What the value of one option means: text or plain values in, as a command, a file or Python gives them."""

import math
from collections.abc import Iterable
from typing import Any

from batchlab.errors import UsageError
from batchlab.records import Current
from batchlab.studies.optimizer_settings import whole_number

# With fewer seeds nothing is shown to be worse; that of `analyze.contest`, which a command must not import to help.
FEWEST_AT_A_LOOK = 3
# Metrics that are shares: nobody means an error of 5 when saying 5.
SHARES = ("error", "accuracy")


def read_batch_sizes(value: Any) -> tuple[int, ...]:
    """Return the batch sizes that a list or a range means, in order of size; a range, the powers of two within it.

    >>> read_batch_sizes("8:100"), read_batch_sizes("64,8,24"), read_batch_sizes([64, 8]), read_batch_sizes(32)
    ((8, 16, 32, 64), (8, 24, 64), (8, 64), (32,))

    Raises:
        UsageError: it has another form, or its numbers mean nothing.
    """
    is_range = isinstance(value, str) and ":" in value
    numbers = _whole_numbers(value, ":" if is_range else ",")
    if is_range and len(numbers) != 2:
        raise _no_batch_sizes(value)
    wrong = [number for number in numbers if number < 1]
    if wrong:
        raise UsageError(f"Batch sizes are whole numbers of at least 1, got {wrong[0]}; remove it.")
    if is_range:
        return _powers_of_two(value, *numbers)
    if not numbers:
        raise UsageError("A study needs at least one batch size, got none; give some, as in 8:512 or 8,24,64.")
    if len(set(numbers)) < len(numbers):
        once = ",".join(map(str, sorted(set(numbers))))
        raise UsageError(f"Each batch size is studied once, got {', '.join(map(str, numbers))}; write {once}.")
    return tuple(sorted(numbers))


def read_current(value: Any) -> Current:
    """Return the setting in use today, given as "64@1e-3", as (64, 1e-3) or as a `Current`.

    >>> read_current("64@1e-3")
    Current(batch_size=64, learning_rate=0.001)

    Raises:
        UsageError: it has another form, or its numbers mean nothing.
    """
    size, rate = _current_parts(value)
    if size is None or rate is None:
        raise UsageError(
            "Today's setting is a batch size and its learning rate, 64@1e-3 or in Python also (64, 1e-3), got "
            f"{value!r}; write it so."
        )
    if size < 1:
        raise UsageError(f"Today's batch size is a whole number of at least 1, got {size}; correct it.")
    return Current(size, positive("Today's learning rate is a positive number", rate))


def read_seeds(value: Any) -> tuple[int, int | None]:
    """Return the seeds to begin with and, where more may be added, the most of them.

    >>> read_seeds(5), read_seeds("5..20"), read_seeds((5, 20))
    ((5, None), (5, 20), (5, 20))

    Raises:
        UsageError: it has another form, or its numbers mean nothing.
    """
    if not isinstance(value, (str, tuple, list)):
        return count("seeds", value, 1), None
    numbers = [_whole_or_none(part) for part in (value.split("..") if isinstance(value, str) else value)]
    first, last = numbers if len(numbers) == 2 else (None, None)
    if first is None or last is None or not FEWEST_AT_A_LOOK <= first < last:
        raise UsageError(
            f"A range of seeds goes from {FEWEST_AT_A_LOOK} or more up to a larger number, as in 5..20, got {value!r}; "
            "write it so, or give one number."
        )
    return first, last


def read_target(value: Any, metric: str) -> float | None:
    """Return a metric to reach, in its own unit; None is none.

    Raises:
        UsageError: it is no number, or out of the metric's range.
    """
    if value is None:
        return None
    number = finite(value)
    if number is None:
        raise UsageError(f"A target is a finite number in the metric's own unit, got {value!r}; give one.")
    if metric in SHARES and not 0 <= number <= 1:
        percent = f"{number / 100:g}" if 1 < number <= 100 else "0.05"
        advice = f"give {percent} for {100 * float(percent):g}%"
        raise UsageError(f"A target of {metric} lies between 0 and 1, got {number:g}; {advice}.")
    return number


def read_milestones(value: Any) -> tuple[float, ...]:
    """Return the milestones of a step schedule, in order."""
    expected = "The milestones of a step schedule are shares of the budget in [0, 1)"
    given = (value,) if isinstance(value, int | float) else value
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise UsageError(f"{expected}, got {given!r}; write 0.5,0.75, say.")
    return tuple(sorted(share(expected, one, "write 0.5,0.75, say") for one in given))


def positive(expected: str, value: Any) -> float:
    """Return a finite number above 0; `expected` begins the message where it is none."""
    number = finite(value)
    if number is None or number <= 0:
        raise UsageError(f"{expected}, got {value!r}; give one above 0.")
    return number


def finite(value: Any) -> float | None:
    """Return a finite number as a float, None for anything else."""
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def count(name: str, value: Any, least: int) -> int:
    """Return a whole number of at least `least`."""
    whole = whole_number(value)
    if whole is None or whole < least:
        raise UsageError(f"`{name}` is a whole number of at least {least}, got {value!r}; correct it.")
    return whole


def one_of(name: str, value: Any, allowed: tuple[str, ...]) -> str:
    """Return the value where it is one of those allowed."""
    if value not in allowed:
        raise UsageError(f"`{name}` is {', '.join(allowed[:-1])} or {allowed[-1]}, got {value!r}; choose one of these.")
    return str(value)


def share(expected: str, value: Any, advice: str, least: float = 0.0) -> float:
    """Return a number from `least` up to, but not, 1; `expected` begins the message where it is none."""
    number = finite(value)
    if number is None or not least <= number < 1:
        raise UsageError(f"{expected}, got {value!r}; {advice}.")
    return number


def text(name: str, value: Any) -> str:
    """Return a text that is not empty."""
    if not isinstance(value, str) or not value:
        raise UsageError(f"`{name}` is a text, got {value!r}; write it in quotes.")
    return value


def _whole_numbers(value: Any, separator: str) -> list[int]:
    parts = value.split(separator) if isinstance(value, str) else value
    single = whole_number(parts)
    if single is not None:
        return [single]
    if not isinstance(parts, Iterable):
        raise _no_batch_sizes(value)
    parts = tuple(parts)
    numbers = [_whole_or_none(part) for part in parts]
    if None in numbers:
        if isinstance(value, str):
            raise _no_batch_sizes(value)
        raise UsageError(f"Batch sizes are whole numbers of at least 1, got {parts[numbers.index(None)]!r}; remove it.")
    return [number for number in numbers if number is not None]


def _no_batch_sizes(value: Any) -> UsageError:
    return UsageError(
        f"Batch sizes are a range or a list of whole numbers, got {value!r}; write 8:512 or 8,24,64, for example."
    )


def _powers_of_two(text: str, low: int, high: int) -> tuple[int, ...]:
    if low > high:
        raise UsageError(f"A range of batch sizes goes from low to high, got {text!r}; write {high}:{low}.")
    powers = tuple(2**k for k in range(high.bit_length()) if low <= 2**k)
    if not powers:
        below = 1 << (low.bit_length() - 1)
        raise UsageError(
            f"A range of batch sizes has a power of two in it, got {text!r}; write {below}:{2 * below}, or list the "
            f"sizes, as in {low},{high + 1}."
        )
    return powers


def _whole_or_none(value: Any) -> int | None:
    try:
        return int(value) if isinstance(value, str) else whole_number(value)
    except ValueError:
        return None


def _current_parts(value: Any) -> tuple[int | None, float | None]:
    """Return batch size and learning rate, None for what cannot be read."""
    try:
        if isinstance(value, Current):
            return value.batch_size, value.learning_rate
        if isinstance(value, str):
            size, rate = value.split("@")
            return int(size), float(rate)
        size, rate = value
        return whole_number(size), float(rate)
    except (TypeError, ValueError):
        return None, None
