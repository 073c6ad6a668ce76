"""`batchlab doctor`: what is installed, what the machine has, and what would stand in a study's way."""

import argparse

from batchlab.cli.checks import Check, run_checks
from batchlab.cli.options import add_json, add_store
from batchlab.cli.output import console, print_json


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the store to look at, and how to print."""
    add_store(parser)
    parser.add_argument("--data", dest="data_dir", metavar="DIR", help="where to look for data files")
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print the checks; the exit code is 1 where something that every study needs is missing."""
    checks = run_checks(arguments.store, arguments.data_dir)
    if arguments.json:
        print_json({"format": "batchlab.doctor/1", "checks": checks})
    else:
        _print_table(checks)
    return int(any(check.status == "fails" for check in checks))


def _print_table(checks: tuple[Check, ...]) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
    styles = {"fine": "green", "missing": "yellow", "fails": "red"}
    for check in checks:
        table.add_row(Text(check.status, styles[check.status]), Text(check.subject), Text(check.detail))
    console().print(table)
