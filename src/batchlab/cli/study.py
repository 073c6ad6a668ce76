"""`batchlab study WORKLOAD`: run a study and print its answer."""

import argparse

import batchlab
from batchlab.cli import options
from batchlab.cli.output import show
from batchlab.cli.progress import open_progress
from batchlab.cli.question import add_question, asked


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of a study."""
    add_question(parser)
    options.add_store(parser, default=None)
    options.add_run(parser)


def run(arguments: argparse.Namespace) -> int:
    """Run the study."""
    given, set_plainly = asked(arguments)
    with open_progress(quiet=arguments.quiet) as progress:
        for name in set_plainly:
            progress.notice(f"--set {name} is the study's own `{name}`; an optimizer's is optimizer_settings.{name}.")
        study = batchlab.study(given.pop("workload"), progress=progress, **given)
    show(study, arguments, report=arguments.report)
    return 0
