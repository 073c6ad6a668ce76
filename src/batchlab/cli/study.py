"""`batchlab study WORKLOAD`: run a study and print its answer, or with --dry-run what it would do."""

import argparse
from typing import Any

import batchlab
from batchlab.cli import options
from batchlab.cli.output import console, print_json, show
from batchlab.cli.progress import open_progress
from batchlab.cli.question import add_question, asked
from batchlab.studies.progress import Progress


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of a study."""
    add_question(parser)
    options.add_store(parser, default=None)
    options.add_run(parser)
    text = "print the plan, how many trials and how long, and run nothing but a quick timing"
    parser.add_argument("--dry-run", action="store_true", help=text)


def run(arguments: argparse.Namespace) -> int:
    """Run the study, or say what it would do."""
    given, set_plainly = asked(arguments)
    with open_progress(quiet=arguments.quiet) as progress:
        for name in set_plainly:
            progress.notice(f"--set {name} is the study's own `{name}`; an optimizer's is optimizer_settings.{name}.")
        if arguments.dry_run:
            return _preview(given, arguments, progress)
        study = batchlab.study(given.pop("workload"), progress=progress, **given)
    show(study, arguments, report=arguments.report)
    return 0


def _preview(given: dict[str, Any], arguments: argparse.Namespace, progress: Progress) -> int:
    found = batchlab.preview(given.pop("workload"), progress=progress, **given)
    if arguments.json:
        print_json(found)
    else:
        from batchlab.views.preview import print_preview

        print_preview(found, console())
    return 0
