"""The entry point: finds the subcommand, and turns expected errors into one line and an exit code.

Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted.
"""

import difflib
import importlib
import io
import os
import select
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import batchlab
from batchlab.cli.parser import Parser
from batchlab.errors import BatchlabError, StudyInterrupted, UsageError

INTERRUPTED = 130


@dataclass(frozen=True, slots=True)
class Command:
    """A subcommand: the module with its `add_options` and `run`, and its lines of help."""

    module: str
    help: str
    example: str


COMMANDS = {
    "init": Command(
        "batchlab.cli.init", "write a workload file to start from", "batchlab init --from train.py -o workload.py"
    ),
    "probe": Command(
        "batchlab.cli.probe",
        "say which batch size to train with, in minutes",
        "batchlab probe digits-mlp --current 64@0.05",
    ),
    "study": Command(
        "batchlab.cli.study",
        "train at several batch sizes and say which to use",
        "batchlab study digits-mlp --batch-sizes 8:512 --report batchlab-report.html",
    ),
    "measure": Command(
        "batchlab.cli.measure",
        "measure how noisy gradients are while a model trains",
        "batchlab measure digits-mlp --plot noise.html",
    ),
    "resume": Command(
        "batchlab.cli.resume", "go on with a study that was stopped", "batchlab resume latest --workers 4"
    ),
    "list": Command("batchlab.cli.list_studies", "list the studies of a store", "batchlab list --store batchlab.db"),
    "show": Command("batchlab.cli.show", "print what a study found", "batchlab show latest --json"),
    "report": Command(
        "batchlab.cli.report", "write a study's report, one HTML file", "batchlab report latest -o report.html"
    ),
    "export": Command(
        "batchlab.cli.export",
        "write a study's trials as CSV or JSON",
        "batchlab export latest --format csv -o trials.csv",
    ),
    "doctor": Command("batchlab.cli.doctor", "check packages, devices, data and the store", "batchlab doctor"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command with these arguments, those of the process by default, and return its exit code."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    try:
        code = dispatch(sys.argv[1:] if arguments is None else arguments)
        sys.stdout.flush()
    except BatchlabError as error:
        return _failed(str(error), _exit_code(error))
    except KeyboardInterrupt:
        return _failed("Interrupted; whatever was finished is kept.", INTERRUPTED)
    except BrokenPipeError:
        if _reader_gone():
            return 1
        raise
    return code


def dispatch(arguments: Sequence[str]) -> int:
    """Run the subcommand that the first argument names, and return its exit code."""
    name = next(iter(arguments), "--help")
    if name in COMMANDS:
        command = COMMANDS[name]
        module = importlib.import_module(command.module)
        description = command.help[0].upper() + command.help[1:] + "."
        parser = Parser(prog=f"batchlab {name}", description=description, epilog=f"example:\n  {command.example}")
        module.add_options(parser)
        run: Callable[..., int] = module.run
        return run(parser.parse_args(arguments[1:]))
    _top_parser(f"batchlab {batchlab.__version__}" if name == "--version" else "").parse_args([name])
    near = difflib.get_close_matches(name, COMMANDS, n=1)
    hint = f"did you mean `batchlab {near[0]}`?" if near else "see `batchlab --help`."
    raise UsageError(f"`batchlab` takes a command ({', '.join(COMMANDS)}), got {name!r}; {hint}")


def _top_parser(version: str) -> Parser:
    lines = [f"  {name:<8} {command.help}\n             {command.example}\n" for name, command in COMMANDS.items()]
    parser = Parser(
        prog="batchlab",
        usage="batchlab COMMAND [options]",
        description="Which batch size should I train with? A measured answer, with an interval.",
        epilog="commands:\n" + "\n".join(lines) + "\n`batchlab COMMAND --help` lists the options of a command.",
    )
    parser.add_argument("--version", action="version", version=version)
    parser.add_argument("command", nargs="?", help="one of those below")
    return parser


def _exit_code(error: BatchlabError) -> int:
    codes: dict[type[BatchlabError], int] = {UsageError: 2, StudyInterrupted: INTERRUPTED}
    return next((code for kind, code in codes.items() if isinstance(error, kind)), 1)


def _failed(message: str, code: int) -> int:
    print(f"batchlab: {message}", file=sys.stderr)
    return code


def _reader_gone() -> bool:
    """Return whether it was stdout that broke, as when `head` has read enough; any other broken pipe is an error."""
    try:
        stdout = sys.stdout.fileno()
    except OSError:
        return False
    if not hasattr(select, "poll"):
        return False
    poll = select.poll()
    poll.register(stdout, 0)
    gone = any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0))
    if gone:
        # Python flushes once more when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), stdout)
    return gone
