"""`batchlab study WORKLOAD`: run a study and print its answer."""

import argparse

import batchlab
from batchlab.cli import options
from batchlab.cli.output import show
from batchlab.cli.progress import open_progress

# What is not given is left to the defaults of `batchlab.study`, so that they are said once.
KEYWORDS = (
    *("batch_sizes", "current", "lr", "base_lr", "base_batch_size", *options.BUDGETS, "seeds", "tuning_seeds", "seed"),
    *("optimizer", "schedule", "warmup", "last_batch", "micro_batch_size", "margin", "target", "device", "data_dir"),
    *("store", "name", "workers", "timeout", "max_minutes"),
)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of a study."""
    number, whole = options.number, options.whole
    add = parser.add_argument
    add("workload", metavar="WORKLOAD", help="a built-in name (see doctor), file.py:attribute or module:attribute")
    add(
        "--batch-sizes",
        type=options.parse_batch_sizes,
        metavar="SIZES",
        help="powers of two from 8 to 512, 8:512, or a list, 8,24,64",
    )
    add(
        "--current",
        type=options.parse_current,
        metavar="B@LR",
        help="today's batch size and learning rate, 64@1e-3, to compare with the best",
    )
    add("--epochs", type=number("--epochs"), metavar="N", help="budget of a trial: passes over the training data")
    add("--examples", type=number("--examples"), metavar="N", help="... or training examples")
    add("--steps", type=number("--steps"), metavar="N", help="... or optimizer steps")
    add("--lr", type=options.parse_lr, metavar="LR", help="tune (the default), linear, sqrt or a value")
    add("--base-lr", type=number("--base-lr"), metavar="LR", help="start of the search, or the base of the rule")
    add("--base-batch-size", type=whole("--base-batch-size"), metavar="B", help="the batch size --base-lr is for")
    add("--seeds", type=options.parse_seeds, metavar="N", help="seeds to compare with (default 5), or 5..20: as needed")
    add("--tuning-seeds", type=whole("--tuning-seeds"), metavar="N", help="seeds that tune learning rates (default 2)")
    add("--seed", type=whole("--seed"), metavar="N", help="base seed of everything random (default 0)")
    add("--optimizer", metavar="NAME", help="sgd, adam, adamw, rmsprop, adagrad or the workload's own")
    add("--set", action="append", type=options.parse_setting, metavar="KEY=VALUE", help="an optimizer setting")
    add("--schedule", metavar="NAME", help="constant (the default), cosine or step")
    add("--warmup", type=number("--warmup"), metavar="SHARE", help="linear warm-up over this share of the budget")
    add("--last-batch", metavar="HOW", help="when an epoch does not divide: carry (the default), drop or keep")
    add(
        "--micro-batch-size", type=whole("--micro-batch-size"), metavar="N", help="split larger batches into parts of N"
    )
    add("--target", type=number("--target"), metavar="M", help="a validation metric to reach, 0.05 for an error of 5%%")
    add("--margin", type=number("--margin"), metavar="M", help="differences up to this, in the metric's unit, are ties")
    add("--device", metavar="NAME", help="cpu (the default), cuda, cuda:1, ...")
    add("--data", dest="data_dir", metavar="PLACE", help="the folder, or the file, of the workload's data")
    add("--name", metavar="NAME", help="a name for the study")
    options.add_store(parser)
    options.add_run(parser)


def run(arguments: argparse.Namespace) -> int:
    """Run the study."""
    options.check_one_budget(arguments)
    given = {name: getattr(arguments, name) for name in KEYWORDS if getattr(arguments, name) is not None}
    with open_progress(quiet=arguments.quiet) as progress:
        study = batchlab.study(
            arguments.workload, optimizer_settings=dict(arguments.set or ()), progress=progress, **given
        )
    show(study, arguments, report=arguments.report)
    return 0
