"""The options of `batchlab study`: the question first, then how it is run."""

import argparse
from typing import Any

from batchlab.cli import options
from batchlab.cli.options import number, whole
from batchlab.errors import UsageError
from batchlab.studies.asking import option_names
from batchlab.studies.control_options import CONTROLS
from batchlab.studies.option_values import read_batch_sizes
from batchlab.studies.spec_file import is_spec_file

WORKLOAD = "a built-in name (see doctor), file.py:attribute or module:attribute; or a spec, file.toml"


def add_question(parser: argparse.ArgumentParser) -> None:
    """Add what to train and what to ask."""
    add = parser.add_argument
    add("workload", metavar="WORKLOAD", help=WORKLOAD)
    text = "powers of two from 8 to 512, 8:512, or a list, 8,24,64"
    add("--batch-sizes", type=read_batch_sizes, metavar="SIZES", help=text)
    text = "today's batch size and learning rate, 64@1e-3, to compare with the best"
    add("--current", type=options.parse_current, metavar="B@LR", help=text)
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
    text = "any of these options by its key in a spec, else an optimizer setting: seeds=10, momentum=0.9"
    add("--set", action="append", type=options.parse_setting, metavar="KEY=VALUE", help=text)
    add("--schedule", metavar="NAME", help="constant (the default), cosine or step")
    add("--warmup", type=number("--warmup"), metavar="SHARE", help="linear warm-up over this share of the budget")
    add("--last-batch", metavar="HOW", help="when an epoch does not divide: carry (the default), drop or keep")
    text = "split larger batches into parts of N"
    add("--micro-batch-size", type=whole("--micro-batch-size"), metavar="N", help=text)
    add("--target", type=number("--target"), metavar="M", help="a validation metric to reach, 0.05 for an error of 5%%")
    add("--search", metavar="HOW", help="grid (the default): for the end of the budget, or model: a race to the target")
    add("--confirm", metavar="WHICH", help="sizes that a race confirms: contenders (the default) or all")
    text = "tuned beside the learning rate: momentum,weight_decay,warmup,schedule, or some of these"
    add("--tune", metavar="NAMES", help=text)
    add("--tuning-trials", type=whole("--tuning-trials"), metavar="N", help="settings to try at each batch size")
    add("--sampler", metavar="NAME", help="of these: quasi-random (the default), tpe, gp, cmaes or random (Optuna's)")
    add("--margin", type=number("--margin"), metavar="M", help="differences up to this, in the metric's unit, are ties")
    text = f"{', '.join(CONTROLS)}: runs this control too; may be given several times"
    add("--control", dest="controls", action="append", metavar="NAME", help=text)
    add("--device", metavar="NAME", help="cpu (the default), cuda, cuda:1, cuda:0,1, ...")
    add("--data", dest="data_dir", metavar="PLACE", help="the folder, or the file, of the workload's data")
    add("--name", metavar="NAME", help="a name for the study")


def asked(arguments: argparse.Namespace) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the keywords of `batchlab.study` that were given, and which came by a `--set` that may be misread.

    What is not given is left to the defaults of the function, so that they are said once.
    """
    options.check_one_budget(arguments)
    names = option_names()
    plain = {name: value for name in names if (value := getattr(arguments, name, None)) is not None}
    own, settings = options.split_settings(arguments.set or (), ("workload", *names))
    twice = [f"`{name}`" for name in own if name in plain]
    if twice:
        raise UsageError(
            f"An option is given once, got {', '.join(twice)} by itself and by --set; keep one of the two."
        )
    given = {"workload": arguments.workload, **plain, **own}
    if "workload" in own:
        if not is_spec_file(arguments.workload):
            raise UsageError(
                f"--set workload changes that of a spec, got it beside {arguments.workload}; keep one of the two."
            )
        given["spec"] = arguments.workload
    if settings:
        given["optimizer_settings"] = settings
    return given, tuple(own)
