import dataclasses
import io

from rich.console import Console

from batchlab.analyze.preview import Preview, Span
from batchlab.records import Budget
from batchlab.views.preview import print_preview
from preview_cases import FOUND


def printed(found: Preview) -> str:
    stream = io.StringIO()
    print_preview(found, Console(file=stream, width=120))
    return stream.getvalue()


def test_a_preview_says_how_much_and_how_long_first() -> None:
    assert (
        printed(FOUND)
        == """\
24 to 50 trials to run, digits-mlp for 20 epochs each: about 19.5 s to 44.5 s with 2 at a time on cpu.
5 seeds tell something.

    stage    to run  stored  one by one
   tuning  20 to 46       –  30.0 s to 80.0 s
comparing         4       6  9.00 s

batch size  updates  a trial takes  learning rates to begin with
         8    2,698         5.64 s  0.05 0.1
       512       42         201 ms  0.4 0.8

- Fewest and most.

Study   mine (abcdef0123456789), not stored
"""
    )


def test_a_study_that_the_store_has_is_said_to_be_done() -> None:
    found = dataclasses.replace(FOUND, trials=Span(0, 0), budget=Budget("epochs", 1.0))
    assert printed(found).startswith("Nothing to run: the store has every trial, digits-mlp for 1 epoch each.\n")
