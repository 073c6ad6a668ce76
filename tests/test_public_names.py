import subprocess
import sys

import batchlab

EVERY_SUBMODULE = """
import importlib, pkgutil, batchlab
before = {name: getattr(batchlab, name) for name in batchlab.__all__}
for module in pkgutil.walk_packages(batchlab.__path__, "batchlab."):
    if module.name != "batchlab.__main__":
        importlib.import_module(module.name)
for name, value in before.items():
    now = getattr(batchlab, name)
    assert now is value, f"{name} became {now!r}"
    assert callable(now) or name == "__version__", f"{name} is {now!r}"
"""

NOTHING_HEAVY = """
import sys, batchlab
assert set(batchlab.__all__) <= set(dir(batchlab))
heavy = {"torch", "numpy", "scipy", "plotly", "sqlalchemy", "rich"} & set(sys.modules)
assert not heavy, heavy
"""


def run(script):
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)


def test_public_names_stay_themselves_whatever_is_imported():
    done = run(EVERY_SUBMODULE)
    assert done.returncode == 0, done.stderr


def test_importing_the_package_imports_nothing_heavy():
    done = run(NOTHING_HEAVY)
    assert done.returncode == 0, done.stderr


def test_all_is_sorted_and_has_no_name_twice():
    assert sorted(set(batchlab.__all__)) == batchlab.__all__


def test_an_unknown_name_is_an_attribute_error():
    try:
        batchlab.stduy  # noqa: B018
    except AttributeError as error:
        assert str(error) == "module 'batchlab' has no attribute 'stduy'"
    else:
        raise AssertionError("expected an AttributeError")
