"""What commands print: answers on stdout, where things lie on stderr when stdout is for a program."""

import argparse
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from batchlab.errors import BatchlabError
from batchlab.records import to_json
from batchlab.studies.store_addresses import shown

if TYPE_CHECKING:
    from rich.console import Console

    from batchlab.api import Study

# Where stdout is no terminal its width is unknown.
WIDTH = 120


def show(study: "Study", arguments: argparse.Namespace, report: Path | None = None) -> None:
    """Print what a study found, for people or as JSON, and where its store is; write its report if asked to.

    Where the report cannot be written, that is said after the answer.
    """
    trouble, places = None, {"Store": place_of(study.store)}
    if report is not None:
        try:
            places["Report"] = str(write_report(study, report))
        except BatchlabError as error:
            trouble = error
    if arguments.json:
        print_json(study.findings)
        for word, place in places.items():
            print(f"{word:<7} {place}", file=sys.stderr)
    else:
        from batchlab.views.terminal import Places, print_study

        print_study(study.findings, console(), places=Places(places["Store"], places.get("Report")))
    if trouble is not None:
        raise trouble


def write_report(study: "Study", path: Path) -> Path:
    """Write a study's report and return its absolute path."""
    with writing(path):
        return study.report(path).absolute()


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn what the system says against writing a file into a `BatchlabError`."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or error
        raise BatchlabError(
            f"The file {path.absolute()} was to be written, and the system refused ({reason}); the study is kept: "
            "name another file."
        ) from error


def print_json(value: Any) -> None:
    """Print a record, or plain data, as one JSON object; numbers that are not finite are null."""
    print(json.dumps(to_json(value, non_finite=lambda _: None), indent=2, allow_nan=False))


def console() -> "Console":
    """Return the console on stdout."""
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else WIDTH, highlight=False)


def place_of(store: str) -> str:
    """Return where a store is, in words for people: its absolute path, or its address without a password."""
    return shown(store)
