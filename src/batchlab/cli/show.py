"""`batchlab show [STUDY]`: print what a study found, as far as it has come."""

import argparse

import batchlab
from batchlab.cli.options import add_json, add_study
from batchlab.cli.output import show


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the study, and how to print it."""
    add_study(parser)
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print the study."""
    show(batchlab.load_study(arguments.name, store=arguments.store), arguments)
    return 0
