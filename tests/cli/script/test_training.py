import pytest

from batchlab.cli.script.reading import read_script
from batchlab.cli.script.source import read_source

SCRIPT = """
from torch.utils.data import DataLoader
model = Net()
loader = DataLoader(data, batch_size=8)
{setup}
for epoch in {epochs}:
    for x, y in loader:
        {turn}
        loss = criterion(model(x), y)
        loss.backward()
"""


@pytest.fixture
def reading(tmp_path):
    def read(setup="", epochs="range(3)", turn="pass"):
        (tmp_path / "train.py").write_text(SCRIPT.format(setup=setup, epochs=epochs, turn=turn))
        return read_script(read_source(tmp_path / "train.py"))

    return read


@pytest.mark.parametrize(
    ("epochs", "count"),
    [("range(3)", 3), ("range(1, 10 + 1)", 10), ("tqdm(range(7))", 7), ("trange(4)", 4), ("range(n)", None)],
)
def test_epochs_are_read_from_the_loop_around_the_batches(reading, epochs, count):
    found = reading(epochs=epochs).epochs
    assert (None if found is None else found.value) == count


@pytest.mark.parametrize(
    ("setup", "kind"),
    [
        ("", None),
        ("scope = torch.autocast('cuda', dtype=torch.bfloat16)", "bfloat16"),
        ("scope = torch.cuda.amp.autocast()", "float16"),
        ("scope = torch.autocast('cpu')", "bfloat16"),
        ("scope = torch.autocast('cuda', enabled=False)", None),
        ("kind = torch.float16\nscope = torch.autocast('cuda', kind)", "float16"),
        ("accelerator = Accelerator(mixed_precision='bf16')", "bfloat16"),
        ("accelerator = Accelerator(mixed_precision='no')", None),
    ],
)
def test_mixed_precision_is_read(reading, setup, kind):
    found = reading(setup).autocast
    assert (None if found is None else found.value) == kind


@pytest.mark.parametrize(
    ("call", "norm"),
    [("clip_grad_norm_(model.parameters(), 2)", 2.0), ("clip_grad_norm_(p, max_norm=0.5)", 0.5), ("other(1, 2)", None)],
)
def test_clipping_is_read(reading, call, norm):
    found = reading(turn=f"nn.utils.{call}").clip_norm
    assert (None if found is None else found.value) == norm


@pytest.mark.parametrize(
    ("call", "name", "settings"),
    [
        ("torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)", "sgd", {"lr": "0.1", "momentum": "0.9"}),
        ("AdamW(model.parameters(), lr=1e-3, fused=True)", "adamw", {"lr": "0.001"}),
        ("optim.RMSprop(params=model.parameters())", "rmsprop", {"lr": "0.01"}),
        ("Adam([p for p in model.parameters() if p.requires_grad])", "adam", {"lr": "0.001"}),
        ("Lion(model.parameters(), lr=1e-4)", None, {"lr": "0.0001"}),
    ],
)
def test_the_optimizer_and_its_settings_are_read(reading, call, name, settings):
    import ast

    found = reading(f"opt = {call}").optimizer
    assert (found.name, found.parameters) == (name, None)
    assert {key: ast.unparse(value) for key, value in found.settings.items()} == settings


@pytest.mark.parametrize(
    ("setup", "doubt"),
    [
        (
            "s = OneCycleLR(opt, 1)",
            "line 5: the schedule `OneCycleLR` is left out; see `--schedule` of `batchlab study`",
        ),
        (
            "a = torch.optim.SGD(model.parameters())\nb = torch.optim.SGD(other.parameters())",
            "line 6: a second optimizer is left out: a workload has one",
        ),
        (
            "nn.utils.clip_grad_value_(model.parameters(), 1)",
            "line 5: clipping by value is left out: a workload clips by norm",
        ),
    ],
)
def test_what_has_no_place_in_a_workload_is_said_with_its_line(reading, setup, doubt):
    assert doubt in reading(setup).doubts


def test_the_batch_size_is_that_of_a_step(reading):
    turn = "if i % 4 == 0: optimizer.step()"
    assert reading(turn=turn).batch_size.value == 32
    assert reading().batch_size.value == 8


def test_a_wrapped_loader_with_a_name_is_followed(reading):
    assert reading("loader = tqdm(loader)").data.loader.name == "loader"
