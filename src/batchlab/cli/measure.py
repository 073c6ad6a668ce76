"""`batchlab measure WORKLOAD`: how noisy its gradients are along training, and what that says of batch sizes."""

import argparse
import sys

from batchlab.cli import options
from batchlab.cli.output import console, print_json

KEYWORDS = ("batch_size", "learning_rate", "checkpoints", "draws", "max_minutes", "seed", "device", "data_dir")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of a measurement."""
    number, whole = options.number, options.whole
    add = parser.add_argument
    add("workload", metavar="WORKLOAD", help="a built-in name (see doctor), file.py:attribute or module:attribute")
    add("--batch-size", type=whole("--batch-size"), metavar="B", help="batch size of the run that is measured")
    add("--epochs", type=number("--epochs"), metavar="N", help="its length: passes over the training data")
    add("--examples", type=number("--examples"), metavar="N", help="... or training examples")
    add("--steps", type=number("--steps"), metavar="N", help="... or optimizer steps")
    add("--lr", dest="learning_rate", type=number("--lr"), metavar="LR", help="its learning rate, held constant")
    add("--checkpoints", type=whole("--checkpoints"), metavar="N", help="how often to look, early to late (default 4)")
    add("--draws", type=whole("--draws"), metavar="N", help="batches of each size for the norms (default 300)")
    add(
        "--max-minutes",
        type=number("--max-minutes"),
        metavar="M",
        help="time for measuring, training apart (default 3)",
    )
    add("--seed", type=whole("--seed"), metavar="N", help="seed of everything random (default 0)")
    add("--device", metavar="NAME", help="cpu (the default), cuda, cuda:1, ...")
    add("--data", dest="data_dir", metavar="DIR", help="where the workload's data files are")
    add("--plot", type=options.output_file("--plot"), metavar="FILE.html", help="write the figures there")
    add("--quiet", action="store_true", help="show no progress")
    options.add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Train, measure, and print what was found."""
    from batchlab.records import Budget
    from batchlab.studies.measuring import MeasurementPlan, measure_workload

    options.check_one_budget(arguments)
    given = {name: getattr(arguments, name) for name in KEYWORDS if getattr(arguments, name) is not None}
    budget = next(
        (Budget(kind, value) for kind in options.BUDGETS if (value := getattr(arguments, kind)) is not None), None
    )
    told = (lambda *_: None) if arguments.quiet else _tell
    findings = measure_workload(arguments.workload, MeasurementPlan(budget=budget, **given), told)
    if arguments.json:
        print_json(findings)
    else:
        from batchlab.views.measurements import print_measurement

        print_measurement(findings, console())
    if arguments.plot is not None:
        from batchlab.views.measurements import write_measurement

        place = write_measurement(findings, arguments.plot)
        print(f"Figures {place.absolute()}", file=sys.stderr if arguments.json else sys.stdout)
    return 0


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
