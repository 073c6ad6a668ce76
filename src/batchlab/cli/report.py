"""`batchlab report [STUDY]`: write a study's report."""

import argparse
from pathlib import Path

import batchlab
from batchlab.cli.options import add_study, output_file
from batchlab.cli.output import place_of, write_report

DEFAULT_REPORT = Path("batchlab-report.html")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the study, and the file to write."""
    add_study(parser)
    text = f"the file to write (default {DEFAULT_REPORT})"
    parser.add_argument("-o", "--output", type=output_file("-o"), metavar="FILE", default=DEFAULT_REPORT, help=text)


def run(arguments: argparse.Namespace) -> int:
    """Write the report, and print its answer and its place."""
    study = batchlab.load_study(arguments.name, store=arguments.store)
    path = write_report(study, arguments.output)
    print(study.answer.sentence)
    print(f"Report  {path}")
    print(f"Store   {place_of(arguments.store)}")
    return 0
