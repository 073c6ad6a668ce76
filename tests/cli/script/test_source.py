import ast
import json

import pytest

from batchlab.cli.script.source import read_source


@pytest.fixture
def cells(tmp_path):
    def read(*sources):
        written = [{"cell_type": "code", "source": source} for source in sources]
        (tmp_path / "book.ipynb").write_text(json.dumps({"cells": written}))
        return read_source(tmp_path / "book.ipynb")

    return read


@pytest.mark.parametrize(
    ("cell", "code"),
    [
        ("%matplotlib inline\nx = 1", "pass\nx = 1"),
        ("!pip install x\nx = 1", "pass\nx = 1"),
        ("x = 1\nx?", "x = 1\npass"),
        ("files = !ls\nx = 1", "pass\nx = 1"),
        ("if y:\n    %time run()\nx = 1", "if y:\n    pass\nx = 1"),
        ("%%time\nx = 1", "pass\nx = 1"),
        ("x = (7\n% 4)", "x = 7 % 4"),
    ],
)
def test_magics_are_dropped_and_lines_keep_their_numbers(cells, cell, code):
    source = cells(cell)
    assert ast.unparse(source.tree) == code
    assert len(source.lines) == len(cell.split("\n"))
    assert source.problems == ()


@pytest.mark.parametrize("cell", ["%%bash\nls", "%%html\n<b>", "rm -rf *"])
def test_a_cell_in_another_language_is_left_out_and_named(cells, cell):
    source = cells("x = 1", cell, "y = 2")
    assert ast.unparse(source.tree) == "x = 1\ny = 2"
    assert source.problems == ("cell 2 is not Python and was left out",)


def test_places_are_those_that_a_person_finds(cells, tmp_path):
    source = cells("x = 1\ny = 2", ["a = 1\n", "b = 2"])
    assert [source.place(node) for node in source.tree.body] == [
        "cell 1, line 1",
        "cell 1, line 2",
        "cell 2, line 1",
        "cell 2, line 2",
    ]
    (tmp_path / "train.py").write_text("\n\nx = 1\n")
    script = read_source(tmp_path / "train.py")
    assert script.place(script.tree.body[0]) == "line 3"
    assert script.place(ast.Pass()) == ""
