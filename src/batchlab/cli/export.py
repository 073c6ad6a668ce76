"""`batchlab export [STUDY]`: a study's trials as a table, or all of it as JSON."""

import argparse
import csv
import io
import json
import sys
from typing import TYPE_CHECKING

import batchlab
from batchlab.cli.options import add_study, check_choice, output_file
from batchlab.cli.output import place_of, writing
from batchlab.records import to_json

if TYPE_CHECKING:
    from batchlab.api import Study

FORMATS = ("csv", "json")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the study, the format and the file to write."""
    add_study(parser)
    parser.add_argument("--format", metavar="FORMAT", default="csv", help="csv (one line a trial, the default) or json")
    parser.add_argument(
        "-o", "--output", type=output_file("-o"), metavar="FILE", help="the file to write (default: stdout)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Write the study."""
    form = check_choice("--format", arguments.format, FORMATS)
    study = batchlab.load_study(arguments.name, store=arguments.store)
    text = _as_csv(study) if form == "csv" else _as_json(study)
    if arguments.output is None:
        sys.stdout.write(text)
    else:
        with writing(arguments.output):
            arguments.output.write_text(text, encoding="utf-8")
        print(f"Trials  {arguments.output.absolute()}", file=sys.stderr)
    print(f"Store   {place_of(arguments.store)}", file=sys.stderr)
    return 0


def _as_csv(study: "Study") -> str:
    from batchlab.views.trial_table import trial_rows

    rows = trial_rows(study.trials)
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]) if rows else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _as_json(study: "Study") -> str:
    everything = {"format": "batchlab.export/1", "findings": study.findings, "trials": study.trials}
    return json.dumps(to_json(everything), allow_nan=False) + "\n"
