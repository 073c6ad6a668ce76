"""`batchlab init`: write a workload file, or a spec, to start from."""

import argparse
import shlex
from pathlib import Path

from batchlab.cli.options import output_file
from batchlab.cli.spec_template import SPEC_TEMPLATE
from batchlab.cli.template import NewFile, from_script, from_template
from batchlab.errors import BatchlabError, UsageError

DEFAULT_FILE = Path("workload.py")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the script to read and the file to write."""
    text = "a training script or notebook to read (it is not run); without it, a small example that runs as it is"
    parser.add_argument("--from", dest="script", type=Path, metavar="FILE", help=text)
    text = f"the new file (default {DEFAULT_FILE}); with the ending .toml, a spec for `batchlab study`"
    parser.add_argument("-o", "--output", type=output_file("-o"), metavar="FILE", default=DEFAULT_FILE, help=text)


def run(arguments: argparse.Namespace) -> int:
    """Write the file, and print what is in it and what to do next."""
    path: Path = arguments.output
    _check_new(path)
    if path.suffix == ".toml":
        return _write_spec(path, arguments)
    made = from_template() if arguments.script is None else from_script(arguments.script.expanduser(), path)
    _write(path, made.text)
    _tell(path, made)
    return 0


def _write_spec(path: Path, arguments: argparse.Namespace) -> int:
    if arguments.script is not None:
        raise UsageError(f"--from makes a workload, a Python file, got -o {path}; write -o workload.py, for example.")
    _write(path, SPEC_TEMPLATE)
    print(f"Written  {path.absolute()}\nNext     batchlab study {shlex.quote(str(path))} --dry-run")
    return 0


def _check_new(path: Path) -> None:
    if path.suffix not in (".py", ".toml") or not path.stem:
        raise UsageError(f"`-o` takes a Python file, or a .toml, got {path}; write -o workload.py, for example.")
    if path.exists():
        raise UsageError(f"`-o` takes a new file, and {path} exists already; name another one, or remove it first.")


def _write(path: Path, text: str) -> None:
    try:
        # Not even a file that appeared just now is overwritten.
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        reason = error.strerror or error
        raise BatchlabError(
            f"The file {path.absolute()} was to be written, and the system refused ({reason}); name another file."
        ) from error


def _tell(path: Path, made: NewFile) -> None:
    print(f"Written  {path.absolute()}")
    for heading, lines in (("Found", made.found), ("Look at", made.doubts)):
        for index, line in enumerate(lines):
            print(f"{heading if index == 0 else '':<7}  {line}")
    print(f"Next     batchlab study {shlex.quote(f'{path}:{made.attribute}')} --epochs 2")
