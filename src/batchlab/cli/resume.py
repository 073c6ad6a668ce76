"""`batchlab resume [STUDY]`: go on with a study and print its answer."""

import argparse

import batchlab
from batchlab.cli.options import add_run, add_study
from batchlab.cli.output import show
from batchlab.cli.progress import open_progress


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the study, and how to run it."""
    add_study(parser)
    text = "its workload again: needed for a study from elsewhere"
    parser.add_argument("--workload", metavar="WORKLOAD", help=text)
    parser.add_argument("--device", metavar="NAME", help="on which GPUs to go on, as in cuda:1 or cuda:0,1")
    add_run(parser)


def run(arguments: argparse.Namespace) -> int:
    """Run what is left of the study."""
    with open_progress(quiet=arguments.quiet) as progress:
        study = batchlab.resume(
            arguments.name,
            workload=arguments.workload,
            store=arguments.store,
            workers=arguments.workers,
            executor=arguments.executor,
            address=arguments.address,
            device=arguments.device,
            timeout=arguments.timeout,
            max_minutes=arguments.max_minutes,
            progress=progress,
        )
    show(study, arguments, report=arguments.report)
    return 0
