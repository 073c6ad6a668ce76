"""`batchlab list`: the studies of a store, the latest at the end."""

import argparse
import sys
from contextlib import closing

from batchlab.cli.options import add_json, add_store
from batchlab.cli.output import console, place_of, print_json
from batchlab.studies.driver import Driver
from batchlab.studies.store import SHORT_ID, StudySummary
from batchlab.studies.store_opening import open_store


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the store, and how to print it."""
    add_store(parser)
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print one line a study."""
    with closing(open_store(arguments.store, create=False)) as store:
        studies = store.studies()
    if arguments.json:
        print_json({"format": "batchlab.list/1", "studies": studies})
    else:
        _print_table(studies)
    print(f"Store   {place_of(arguments.store)}", file=sys.stderr if arguments.json else sys.stdout)
    return 0


def _print_table(studies: tuple[StudySummary, ...]) -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in ("Study", "Id", "Workload", "Made (UTC)"):
        table.add_column(heading, overflow="fold")
    table.add_column("Trials", justify="right")
    table.add_column("")
    for study in studies:
        made = study.created[:16].replace("T", " ")
        table.add_row(
            study.name, study.id[:SHORT_ID], study.workload, made, str(study.n_trials), _running(study.driver)
        )
    console().print(table)


def _running(driver: Driver | None) -> str:
    if driver is None:
        return ""
    whose = f"{driver.owner}, " if driver.owner else ""
    return f"running: {whose}process {driver.pid} on {driver.host} since {driver.since[:16].replace('T', ' ')}"
