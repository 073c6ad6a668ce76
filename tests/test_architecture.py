"""The direction of imports, what may be imported where, and the sizes of things: see the layout in docs."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import batchlab

ROOT = Path(batchlab.__file__).parent
MODULES = sorted(path for path in ROOT.rglob("*.py"))

BASE = {"records", "records_json", "errors"}
DATA = BASE | {"numerics", "simulate", "analyze"}
TRAINING = BASE | {"numerics", "measure", "workload", "workloads", "train"}
WINGS = DATA | TRAINING | {"views", "adapt"}
MAY_IMPORT = {
    "errors": set(),
    "records_json": set(),
    "records": {"records_json", "errors"},
    "numerics": BASE,
    "simulate": BASE | {"numerics"},
    "analyze": BASE | {"numerics", "simulate"},
    "views": DATA,
    "measure": BASE | {"numerics"},
    "workload": BASE | {"numerics", "measure", "workloads"},
    "workloads": BASE | {"numerics", "measure", "workload"},
    "train": TRAINING - {"train"},
    "adapt": TRAINING,
    "studies": DATA | TRAINING | {"adapt"},
    "api": WINGS | {"studies"},
    "probes": WINGS | {"studies"},
    "recipes": WINGS | {"studies", "api", ""},
    "integrations": WINGS | {"studies", "api", "recipes", ""},
    "cli": WINGS | {"studies", "api", "recipes", "integrations", ""},
    "__main__": {"cli"},
    "": WINGS | {"studies", "api", "probes"},
}
WITHOUT_TORCH = ("records", "records_json", "errors", "numerics", "simulate", "analyze", "views")
BARE = ("measure", "train", "adapt", "studies")
BARE_PACKAGES = {"torch", "numpy", "scipy", "batchlab"}

MOST_FUNCTION_LINES = 50
MOST_MODULE_LINES = 500
LONG_MODULE_LINES = 300
# Modules above 300 lines, each here for a reason that its docstring gives.
LONG_MODULES: set[str] = set()
MOST_COMMAND_LINES = 80
VAGUE = {"utils", "util", "helpers", "common", "base", "misc"}


def label(path):
    return path.relative_to(ROOT).as_posix()


def part(path):
    """Return the layer that a module belongs to, "" for the package itself."""
    first = path.relative_to(ROOT).parts[0].removesuffix(".py")
    return "" if first == "__init__" else first


def imports(tree):
    """Return the full name of everything that a module imports, anywhere in it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def imports_at_top(tree):
    """Return what a module imports as soon as it is imported itself."""
    now = ast.Import | ast.ImportFrom | ast.Try
    return imports(ast.Module([node for node in tree.body if isinstance(node, now)], []))


def layers(names):
    """Return the layers of batchlab among imported names; "" for a public name; all may ask for the version."""
    for name in set(names) - {"batchlab.__version__"}:
        first, *rest = name.split(".")
        if first == "batchlab":
            yield rest[0] if rest and rest[0] in MAY_IMPORT else ""


def parse(path):
    return ast.parse(path.read_text(encoding="utf-8"))


def own_lines(function):
    """Return how many lines a function has without its docstring."""
    first = function.body[0]
    told = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str)
    return function.end_lineno - function.lineno + 1 - (first.end_lineno - first.lineno + 1 if told else 0)


@pytest.mark.parametrize("path", MODULES, ids=label)
def test_a_module_imports_only_from_its_left(path):
    layer = part(path)
    assert layer in MAY_IMPORT, "a new layer needs its place in the order"
    assert set(layers(imports(parse(path)))) <= MAY_IMPORT[layer] | {layer}


@pytest.mark.parametrize("path", [path for path in MODULES if part(path) in WITHOUT_TORCH], ids=label)
def test_the_first_wing_does_not_name_torch(path):
    assert "torch" not in {name.split(".")[0] for name in imports(parse(path))}


def test_the_first_wing_the_store_and_the_command_load_no_torch():
    names = [".".join(path.relative_to(ROOT.parent).with_suffix("").parts) for path in MODULES]
    without = [
        name.removesuffix(".__init__")
        for name in names
        if name.split(".")[1] in (*WITHOUT_TORCH, "cli")
        or name.startswith(("batchlab.studies.sql_", "batchlab.studies.store"))
    ]
    script = f"import importlib, sys\nfor name in {without!r}: importlib.import_module(name)\n"
    script += "assert 'torch' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "path", [path for path in MODULES if part(path) in BARE and not path.name.startswith("sql_")], ids=label
)
def test_training_needs_only_torch_numpy_and_scipy(path):
    packages = {name.split(".")[0] for name in imports_at_top(parse(path))}
    assert packages <= BARE_PACKAGES | sys.stdlib_module_names


@pytest.mark.parametrize("path", MODULES, ids=label)
def test_functions_fit_on_a_screen(path):
    functions = [node for node in ast.walk(parse(path)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    assert {node.name: own_lines(node) for node in functions if own_lines(node) > MOST_FUNCTION_LINES} == {}


def test_modules_are_short_and_the_long_ones_are_known():
    lines = {label(path): len(path.read_text(encoding="utf-8").splitlines()) for path in MODULES}
    assert {name for name, count in lines.items() if count > MOST_MODULE_LINES} == set()
    assert {name for name, count in lines.items() if count > LONG_MODULE_LINES} == LONG_MODULES


def test_commands_are_thin():
    from batchlab.cli.main import COMMANDS

    places = {name: ROOT.parent / f"{command.module.replace('.', '/')}.py" for name, command in COMMANDS.items()}
    lines = {name: len(path.read_text(encoding="utf-8").splitlines()) for name, path in places.items()}
    assert {name for name, count in lines.items() if count > MOST_COMMAND_LINES} == set()


def test_modules_say_what_they_are_about():
    assert {label(path) for path in MODULES if path.stem in VAGUE} == set()
