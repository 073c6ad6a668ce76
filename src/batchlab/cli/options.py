"""Options that several commands share, and how their texts are read."""

import argparse
import difflib
from collections.abc import Callable
from pathlib import Path

from batchlab.errors import UsageError
from batchlab.records import Setting
from batchlab.studies.spec import read_current, read_seeds
from batchlab.studies.store import DEFAULT_STORE

BUDGETS = ("epochs", "examples", "steps")


def parse_batch_sizes(text: str) -> tuple[int, ...]:
    """Return the batch sizes that a list or a range means, in order of size; a range, the powers of two within it.

    >>> parse_batch_sizes("8:100"), parse_batch_sizes("64,8,24")
    ((8, 16, 32, 64), (8, 24, 64))
    """
    numbers = _whole_numbers(text)
    if min(numbers) < 1:
        raise UsageError(
            f"`--batch-sizes` takes whole numbers of at least 1, got {text!r}; write 8:512 or 8,24,64, for example."
        )
    if ":" in text:
        return _powers_of_two(text, *numbers)
    if len(set(numbers)) < len(numbers):
        once = ",".join(map(str, sorted(set(numbers))))
        raise UsageError(f"`--batch-sizes` takes each batch size once, got {text!r}; write {once}.")
    return tuple(sorted(numbers))


def parse_lr(text: str) -> str | float:
    """Return a learning rate's mode, or its value.

    >>> parse_lr("tune"), parse_lr("0.05")
    ('tune', 0.05)
    """
    if text in ("tune", "linear", "sqrt"):
        return text
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise UsageError(
            f"`--lr` takes tune, linear, sqrt or a positive number, got {text!r}; leave it out to have it tuned."
        )
    return value


def parse_current(text: str) -> tuple[int, float]:
    """Return today's batch size and learning rate.

    >>> parse_current("64@1e-3")
    (64, 0.001)
    """
    current = read_current(text)
    return current.batch_size, current.learning_rate


def parse_seeds(text: str) -> int | tuple[int, int]:
    """Return a number of seeds, or the range within which they are added as needed.

    >>> parse_seeds("5"), parse_seeds("5..20")
    (5, (5, 20))
    """
    if ".." not in text:
        return whole("--seeds")(text)
    first, last = read_seeds(text)
    assert last is not None
    return first, last


def parse_setting(text: str) -> tuple[str, Setting]:
    """Return the name and the value of an optimizer setting.

    >>> parse_setting("momentum=0.9"), parse_setting("nesterov=true"), parse_setting("betas=0.9,0.95")
    (('momentum', 0.9), ('nesterov', True), ('betas', (0.9, 0.95)))
    """
    key, equals, value = text.partition("=")
    if not (key.isidentifier() and equals and value):
        raise UsageError(f"`--set` takes key=value, got {text!r}; write momentum=0.9, for example.")
    if value.lower() in ("true", "false"):
        return key, value.lower() == "true"
    try:
        return key, tuple(map(float, value.split(","))) if "," in value else _number(value)
    except ValueError:
        return key, value


def whole(option: str) -> Callable[[str], int]:
    """Return the reader of an option that takes a whole number."""

    def read(text: str) -> int:
        try:
            return int(text)
        except ValueError:
            raise UsageError(f"`{option}` takes a whole number, got {text!r}; write {option} 5, for example.") from None

    return read


def number(option: str) -> Callable[[str], float]:
    """Return the reader of an option that takes a number."""

    def read(text: str) -> float:
        try:
            return float(text)
        except ValueError:
            raise UsageError(f"`{option}` takes a number, got {text!r}; write {option} 0.5, for example.") from None

    return read


def output_file(option: str) -> Callable[[str], Path]:
    """Return the reader of an option that takes a file to write; it is refused before the work, not after."""

    def read(text: str) -> Path:
        path = Path(text).expanduser()
        if path.is_dir():
            raise UsageError(f"`{option}` takes a file, and {text} is a folder; name a file in it.")
        if not path.parent.is_dir():
            raise UsageError(
                f"`{option}` takes a file in a folder that exists, and {path.parent} is not one; make it first."
            )
        return path

    return read


def check_one_budget(arguments: argparse.Namespace) -> None:
    """Raise where more than one budget was given."""
    given = [f"--{name}" for name in BUDGETS if getattr(arguments, name) is not None]
    if len(given) > 1:
        raise UsageError(f"A study has one of --epochs, --examples and --steps, got {' and '.join(given)}; keep one.")


def check_choice(option: str, value: str, choices: tuple[str, ...]) -> str:
    """Return `value` where it is one of `choices`."""
    if value not in choices:
        near = difflib.get_close_matches(value, choices, n=1) or choices[:1]
        raise UsageError(f"`{option}` takes {' or '.join(choices)}, got {value!r}; write {option} {near[0]}.")
    return value


def add_store(parser: argparse.ArgumentParser) -> None:
    """Add the option that says where studies are kept."""
    text = f"where studies are kept: a path or sqlite:///PATH (default ./{DEFAULT_STORE})"
    parser.add_argument("--store", metavar="URL", default=DEFAULT_STORE, help=text)


def add_study(parser: argparse.ArgumentParser) -> None:
    """Add the study that a command is about, and its store."""
    text = "its name, the start of its id, or latest (the default)"
    parser.add_argument("name", metavar="STUDY", nargs="?", default="latest", help=text)
    add_store(parser)


def add_run(parser: argparse.ArgumentParser) -> None:
    """Add what commands that train share: how, and what to write in the end."""
    parser.add_argument(
        "--workers", type=whole("--workers"), metavar="N", help="trials at a time (default: one a core)"
    )
    parser.add_argument(
        "--timeout", type=number("--timeout"), metavar="S", help="give up on a trial after so many seconds"
    )
    parser.add_argument(
        "--max-minutes", type=number("--max-minutes"), metavar="M", help="begin no more trials after so many minutes"
    )
    parser.add_argument("--report", type=output_file("--report"), metavar="PATH", help="write the report there")
    parser.add_argument("--quiet", action="store_true", help="show no progress")
    add_json(parser)


def add_json(parser: argparse.ArgumentParser) -> None:
    """Add the switch from text to JSON."""
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of text")


def _whole_numbers(text: str) -> list[int]:
    parts = text.split(":") if ":" in text else text.split(",")
    try:
        numbers = [int(part) for part in parts]
    except ValueError:
        numbers = []
    if not numbers or (":" in text and len(numbers) != 2):
        raise UsageError(
            f"`--batch-sizes` takes a range or a list of whole numbers, got {text!r}; write 8:512 or 8,24,64, for "
            "example."
        )
    return numbers


def _powers_of_two(text: str, low: int, high: int) -> tuple[int, ...]:
    if low > high:
        raise UsageError(f"`--batch-sizes` takes a range from low to high, got {text!r}; write {high}:{low}.")
    powers = tuple(2**k for k in range(high.bit_length()) if low <= 2**k)
    if not powers:
        below = 1 << (low.bit_length() - 1)
        raise UsageError(
            f"`--batch-sizes` takes a range with a power of two in it, got {text!r}; write {below}:{2 * below}, or "
            f"list the sizes, as in {low},{high}."
        )
    return powers


def _number(text: str) -> int | float:
    try:
        return int(text)
    except ValueError:
        return float(text)
