"""`batchlab probe WORKLOAD`: which batch size and learning rate to train with, in minutes."""

import argparse
import sys

import batchlab
from batchlab.cli import options
from batchlab.cli.output import console, print_json

KEYWORDS = (
    *options.BUDGETS,
    "objective",
    "current",
    "target",
    "seed",
    "device",
    "data_dir",
    "max_minutes",
    "price_per_hour",
)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of a probe."""
    number, add = options.number, parser.add_argument
    add("workload", metavar="WORKLOAD", help="a built-in name (see doctor), file.py:attribute or module:attribute")
    add("--objective", metavar="NAME", help="time (the default), examples (least computation) or energy")
    add("--current", type=options.parse_current, metavar="B@LR", help="today's setting, 64@1e-3: what it loses is said")
    add("--target", type=number("--target"), metavar="M", help="a validation metric to reach, 0.05 for an error of 5%%")
    add("--epochs", type=number("--epochs"), metavar="N", help="the training to come: passes over the training data")
    add("--examples", type=number("--examples"), metavar="N", help="... or training examples")
    add("--steps", type=number("--steps"), metavar="N", help="... or optimizer steps")
    add(
        "--max-minutes",
        type=number("--max-minutes"),
        metavar="M",
        help="answer after so many minutes with what is known",
    )
    add(
        "--price-per-hour",
        type=number("--price-per-hour"),
        metavar="P",
        help="of the machine: what training costs is said",
    )
    add("--seed", type=options.whole("--seed"), metavar="N", help="seed of everything random (default 0)")
    add("--device", metavar="NAME", help="cpu (the default), cuda, cuda:1, ...")
    add("--data", dest="data_dir", metavar="PLACE", help="the folder, or the file, of the workload's data")
    add("--report", type=options.output_file("--report"), metavar="PATH", help="write the page there, one HTML file")
    add("--quiet", action="store_true", help="show no progress")
    options.add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Probe, and print what was found."""
    options.check_one_budget(arguments)
    given = {name: getattr(arguments, name) for name in KEYWORDS if getattr(arguments, name) is not None}
    found = batchlab.probe(arguments.workload, progress=None if arguments.quiet else _tell, **given)
    if arguments.json:
        print_json(found.findings)
    else:
        from batchlab.views.probe_terminal import print_probe

        print_probe(found.findings, console())
    if arguments.report is not None:
        place = found.report(arguments.report).absolute()
        print(f"Report  {place}", file=sys.stderr if arguments.json else sys.stdout)
    return 0


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
