import subprocess
import sys

from batchlab.workloads import BUILTIN, builtin_names


def test_the_digits_come_first():
    assert builtin_names()[0] == "digits-mlp"
    assert set(builtin_names()) == set(BUILTIN)


def test_names_are_listed_without_importing_torch_or_opening_data():
    code = (
        "import sys, batchlab.workloads as w; w.builtin_names(); "
        "print([name for name in ('torch', 'numpy', 'sklearn') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
