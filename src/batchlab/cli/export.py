"""`batchlab export [STUDY]`: a study's trials as a table, all of it as JSON, or its question as a spec."""

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
from batchlab.studies.spec_file import spec_text

if TYPE_CHECKING:
    from batchlab.api import Study

FORMATS = ("csv", "json", "spec")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the study, the format and the file to write."""
    add_study(parser)
    text = "csv (one line a trial, the default), json (all of it) or spec (a TOML file that asks the same again)"
    parser.add_argument("--format", metavar="FORMAT", default="csv", help=text)
    parser.add_argument(
        "-o", "--output", type=output_file("-o"), metavar="FILE", help="the file to write (default: stdout)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Write the study."""
    form = check_choice("--format", arguments.format, FORMATS)
    study = batchlab.load_study(arguments.name, store=arguments.store)
    text = {"csv": _as_csv, "json": _as_json, "spec": _as_spec}[form](study)
    if arguments.output is None:
        sys.stdout.write(text)
    else:
        with writing(arguments.output):
            arguments.output.write_text(text, encoding="utf-8")
        print(f"{'Spec  ' if form == 'spec' else 'Trials'}  {arguments.output.absolute()}", file=sys.stderr)
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


def _as_spec(study: "Study") -> str:
    return spec_text(study.record)
