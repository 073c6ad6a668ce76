"""Read a script or a notebook as a syntax tree that knows where each line came from."""

import ast
import json
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from batchlab.errors import UsageError

# Cell magics whose cell is still Python.
PYTHON_CELLS = ("%%time", "%%timeit", "%%capture", "%%prun")
MAGIC = re.compile(r"^\s*[%!?]|\?\s*$|^[^#'\"]*=\s*[%!]")


@dataclass(frozen=True, slots=True)
class Source:
    """A script as text and tree.

    Args:
        path: where it was read.
        lines: its code, without magics.
        places: of each line, where a person finds it: "line 3", or "cell 2, line 3".
        tree: of the lines.
        problems: what could not be read, in words, with its place.
    """

    path: Path
    lines: tuple[str, ...]
    places: tuple[str, ...]
    tree: ast.Module
    problems: tuple[str, ...] = ()

    def place(self, node: ast.AST) -> str:
        """Return where a node is, in words for people; empty where it is not from the script."""
        line = getattr(node, "lineno", 0)
        return self.places[line - 1] if 0 < line <= len(self.places) else ""


def read_source(path: Path) -> Source:
    """Return the script or notebook at `path`, parsed.

    Raises:
        UsageError: it is not there, not a Python script or notebook, or cannot be parsed.
    """
    if path.suffix not in (".py", ".ipynb"):
        raise UsageError(f"`--from` takes a script (.py) or a notebook (.ipynb), got {path}; name one of these.")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        reason = error.strerror or error
        raise UsageError(f"`--from` takes a file that can be read, got {path} ({reason}); correct the path.") from error
    except UnicodeDecodeError as error:
        raise UsageError(
            f"`--from` takes a file in UTF-8, but {path} is not (byte {error.start}); save it as UTF-8."
        ) from error
    return _notebook(path, text) if path.suffix == ".ipynb" else _script(path, text)


def _script(path: Path, text: str) -> Source:
    lines = _as_lines(text)
    try:
        tree = ast.parse("\n".join(lines))
    except (SyntaxError, ValueError) as error:
        line = f"line {error.lineno} is not" if isinstance(error, SyntaxError) and error.lineno else "it is not"
        detail = error.msg if isinstance(error, SyntaxError) else str(error)
        raise UsageError(
            f"`--from` takes a script in Python {_version()}, but in {path} {line} ({detail}); mend it, or leave "
            "--from out."
        ) from error
    return Source(path, lines, tuple(f"line {number}" for number in range(1, len(lines) + 1)), tree)


def _notebook(path: Path, text: str) -> Source:
    lines: list[str] = []
    places: list[str] = []
    problems = []
    for number, cell in enumerate(_cells(path, text), start=1):
        code = _without_magics(cell)
        if code is None:
            problems.append(f"cell {number} is not Python and was left out")
            continue
        lines += code
        places += [f"cell {number}, line {line}" for line in range(1, len(code) + 1)]
    return Source(path, tuple(lines), tuple(places), ast.parse("\n".join(lines)), tuple(problems))


def _cells(path: Path, text: str) -> list[tuple[str, ...]]:
    """Return the lines of the code cells, counted as a notebook shows them: code cells only."""
    try:
        notebook = json.loads(text)
        cells: list[Any] = notebook["cells"]
        sources = [cell["source"] for cell in cells if cell["cell_type"] == "code"]
        return [_as_lines(source if isinstance(source, str) else "".join(source)) for source in sources]
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"`--from` takes a notebook in Jupyter's format 4, but {path} is not one; save it again from Jupyter, or "
            "export it as a script."
        ) from error


def _without_magics(lines: tuple[str, ...]) -> tuple[str, ...] | None:
    """Return the Python of a cell, as many lines as before; None where it is in another language.

    Lines are only taken for magics where the cell is not Python as it stands: a continued line may begin with %.
    """
    if _is_python(lines):
        return lines
    first = next((line.strip() for line in lines if line.strip()), "")
    if first.startswith("%%") and not first.startswith(PYTHON_CELLS):
        return None
    # `pass`, as a magic may be all there is in a block.
    kept = tuple(
        f"{line[: len(line) - len(line.lstrip())]}pass" if line.strip() and MAGIC.search(line) else line
        for line in lines
    )
    return kept if _is_python(kept) else None


def _is_python(lines: tuple[str, ...]) -> bool:
    try:
        ast.parse("\n".join(lines))
    except (SyntaxError, ValueError):
        return False
    return True


def _as_lines(text: str) -> tuple[str, ...]:
    # As the parser counts them: `splitlines` breaks at form feeds and other separators as well.
    return tuple(text.replace("\r\n", "\n").replace("\r", "\n").split("\n"))


def _version() -> str:
    return f"{sys.version_info.major}.{sys.version_info.minor}"
