"""Options that several commands share, and how their texts are read."""

import argparse
import difflib
from collections.abc import Callable, Sequence
from pathlib import Path

from batchlab.errors import UsageError
from batchlab.records import Setting
from batchlab.studies.option_values import read_current, read_seeds
from batchlab.studies.store_addresses import DEFAULT_STORE, SERVER_EXAMPLE

BUDGETS = ("epochs", "examples", "steps")
SETTINGS = "optimizer_settings."

Value = Setting | tuple[int | float, ...]


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


def parse_setting(text: str) -> tuple[str, Value]:
    """Return the name and the value of a setting, which takes the type it looks like.

    >>> parse_setting("momentum=0.9"), parse_setting("nesterov=true"), parse_setting("batch_sizes=8,64")
    (('momentum', 0.9), ('nesterov', True), ('batch_sizes', (8, 64)))
    """
    key, equals, value = text.partition("=")
    if not (key.removeprefix(SETTINGS).isidentifier() and equals and value):
        raise UsageError(f"`--set` takes key=value, got {text!r}; write momentum=0.9, for example.")
    if value.lower() in ("true", "false"):
        return key, value.lower() == "true"
    try:
        return key, tuple(map(_number, value.split(","))) if "," in value else _number(value)
    except ValueError:
        return key, value


def split_settings(
    pairs: Sequence[tuple[str, Value]], names: Sequence[str]
) -> tuple[dict[str, Value], dict[str, Value]]:
    """Return those of the `--set` pairs that are options of the study, by the `names` of these, and the optimizer's.

    >>> split_settings([("seeds", 10), ("momentum", 0.9), ("optimizer_settings.eps", 0.1)], ["seeds"])
    ({'seeds': 10}, {'momentum': 0.9, 'eps': 0.1})
    """
    own = {key: value for key, value in pairs if key in names}
    return own, {key.removeprefix(SETTINGS): value for key, value in pairs if key not in names}


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


def add_store(parser: argparse.ArgumentParser, default: str | None = DEFAULT_STORE) -> None:
    """Add the option that says where studies are kept."""
    text = f"where studies are kept: a path, or {SERVER_EXAMPLE} (default ./{DEFAULT_STORE})"
    parser.add_argument("--store", metavar="URL", default=default, help=text)


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
    parser.add_argument("--executor", metavar="NAME", help="local (the default), or ray: the machines of a Ray cluster")
    text = "of the Ray cluster: HOST:PORT, auto (the default), or local, a new one on this machine"
    parser.add_argument("--address", metavar="PLACE", help=text)
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


def _number(text: str) -> int | float:
    try:
        return int(text)
    except ValueError:
        return float(text)
