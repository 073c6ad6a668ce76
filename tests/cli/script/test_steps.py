"""Turns of a loop as functions, each run on made-up outputs."""

import ast
import textwrap

import pytest
import torch
from torch import nn

from batchlab.cli.script.reading import read_script
from batchlab.cli.script.source import read_source

HEAD = """
from torch.utils.data import DataLoader
model = Net()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
loader = DataLoader(data)
"""


@pytest.fixture
def objective(tmp_path):
    def read(turn, head=HEAD):
        loop = f"for epoch in range(3):\n    for batch in loader:\n{textwrap.indent(textwrap.dedent(turn), ' ' * 8)}"
        (tmp_path / "train.py").write_text(f"{head}\n{loop}")
        return read_script(read_source(tmp_path / "train.py")).objective

    return read


def step_of(objective, **names):
    body = "\n".join(ast.unparse(ast.fix_missing_locations(node)) for node in objective.step_body)
    values = {"torch": torch, "nn": nn, "F": nn.functional, **names}
    exec(f"def step(model, batch):\n{textwrap.indent(body, '    ')}", values)
    return values["step"]


def double(x):
    return 2 * x


def test_a_mean_over_the_batch_is_multiplied_by_the_number_of_examples(objective):
    found = objective("x, y = batch\nx = x.view(-1, 2)\nloss = F.mse_loss(model(x), y)\nloss.backward()")
    x, y = torch.arange(8.0).reshape(4, 1, 2), torch.ones(4, 2)
    total, count = step_of(found)(double, (x, y))
    assert count == 4
    assert torch.allclose(total, 4 * (2 * x[:, 0] - y).square().mean())


def test_a_sum_over_the_batch_is_left_a_sum(objective):
    found = objective("x, y = batch\nloss = F.mse_loss(model(x), y, reduction='sum')\nloss.backward()")
    x, y = torch.arange(4.0), torch.ones(4)
    total, count = step_of(found)(double, (x, y))
    assert (float(total), count) == (float((2 * x - y).square().sum()), 4)


def test_a_sum_inside_of_a_function_of_the_script_is_seen(objective):
    head = "def my_loss(a, b):\n    return F.mse_loss(a, b, reduction='sum')\n" + HEAD
    found = objective("x, y = batch\nloss = my_loss(model(x), y)\nloss.backward()", head)
    total, _ = step_of(found, my_loss=lambda a, b: (a - b).square().sum())(double, (torch.ones(3), torch.zeros(3)))
    assert float(total) == 12.0


def test_the_labels_of_a_dictionary_count_its_examples(objective):
    found = objective("out = model(batch['image'])\nloss = F.cross_entropy(out, batch['label'])\nloss.backward()")
    batch = {"image": torch.eye(3), "label": torch.tensor([0, 1, 0])}
    total, count = step_of(found)(double, batch)
    assert count == 3
    assert torch.allclose(total, 3 * nn.functional.cross_entropy(2 * batch["image"], batch["label"]))


def test_a_model_of_tokens_counts_the_tokens_it_is_graded_on(objective):
    head = HEAD.replace("Net()", "AutoModelForCausalLM.from_pretrained('x')")
    found = objective("out = model(**batch)\nout.loss.backward()", head)
    batch = {"labels": torch.tensor([[5, 5, -100], [5, 5, 5]])}
    _, count = step_of(found)(lambda labels: type("Out", (), {"loss": torch.tensor(1.0)}), batch)
    assert int(count) == 3


def test_outputs_of_several_parts_become_a_step(objective):
    turn = "x, y = batch\nout, extra = model(x)\nloss = F.mse_loss(out, y)\nloss = loss + 0.1 * extra\nloss.backward()"
    total, count = step_of(objective(turn))(lambda x: (x, torch.tensor(10.0)), (torch.ones(2), torch.ones(2)))
    assert (float(total), count) == (2.0, 2)


@pytest.mark.parametrize(
    "turn",
    [
        "inputs, targets = batch\nloss = F.mse_loss(model(inputs), targets)\nloss.backward()",
        "a, b = batch[0].to(device), batch[1].to(device)\npredicted = model(a)\nF.mse_loss(predicted, b).backward()",
        "a, b = batch\nwith torch.autocast('cuda'):\n    out = model(a)\n    loss = F.mse_loss(out, b)\n"
        "scaler.scale(loss).backward()",
        "a, b = batch\nloss = F.mse_loss(model(a), b)\naccelerator.backward(loss)",
    ],
)
def test_a_plain_turn_is_the_loss_function_itself(objective, turn):
    assert ast.unparse(objective(turn).loss) == "F.mse_loss"


@pytest.mark.parametrize(
    ("divided", "left"),
    [
        ("loss = F.mse_loss(model(x), y) / accum_steps", "F.mse_loss"),
        ("loss = F.mse_loss(model(x), y)\nloss = loss / accum_steps", "F.mse_loss"),
        ("loss = F.mse_loss(model(x), y)\nloss /= accum_steps", "F.mse_loss"),
        ("loss = F.mse_loss(model(x), y) / 2", None),
    ],
)
def test_only_the_share_of_accumulation_is_taken_out(objective, divided, left):
    found = objective(f"x, y = batch\n{divided}\nloss.backward()").loss
    assert (None if found is None else ast.unparse(found)) == left


def test_classes_are_counted_on_what_the_loss_compares(objective):
    found = objective("x, y = batch\nout = model(x)\nF.cross_entropy(out.view(-1, 2), y.view(-1)).backward()")
    body = "\n".join(map(ast.unparse, map(ast.fix_missing_locations, found.errors_body)))
    values = {}
    exec(f"def errors(model, batch):\n{textwrap.indent(body, '    ')}", values)
    x = torch.tensor([[[1.0, 0.0], [0.0, 1.0]], [[1.0, 0.0], [1.0, 0.0]]])
    wrong, count = values["errors"](double, (x, torch.tensor([[0, 1], [1, 1]])))
    assert (int(wrong), count) == (2, 4)
