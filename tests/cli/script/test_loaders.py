import ast

import pytest

from batchlab.cli.script.loaders import find_loaders, resolve_loader, role_of
from batchlab.cli.script.slicing import make_flow


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("train_loader", "train"),
        ("trainloader", "train"),
        ("dl_trn", "train"),
        ("loaders['val']", "valid"),
        ("validDataLoader", "valid"),
        ("dev_dl", "valid"),
        ("evalloader", "valid"),
        ("testloader", "test"),
        ("mnistTest", "test"),
        ("value_loader", ""),
        ("device_loader", ""),
        ("loader", ""),
    ],
)
def test_a_name_tells_what_data_are_for(name, role):
    assert role_of(name) == role


def found(text):
    flow = make_flow(ast.parse(text).body)
    return flow, find_loaders(flow)


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("d = DataLoader(data, 32, True)", {"dataset": "data", "batch_size": "32", "shuffle": "True"}),
        ("d = torch.utils.data.DataLoader(dataset=data, sampler=None)", {"dataset": "data"}),
        ("k = {'batch_size': 8}\nd = DataLoader(data, **k)", {"dataset": "data", "batch_size": "8"}),
        (
            "k = dict(num_workers=2)\nk.update({'batch_size': 8})\nd = DataLoader(data, **k)",
            {"dataset": "data", "num_workers": "2", "batch_size": "8"},
        ),
        ("k = {}\nif cuda:\n    k.update({'num_workers': 1})\nd = DataLoader(data, **k)", {"dataset": "data"}),
    ],
)
def test_the_options_of_a_loader_are_read(text, options):
    _, loaders = found(text)
    assert [{name: ast.unparse(value) for name, value in loader.options.items()} for loader in loaders] == [options]


@pytest.mark.parametrize(
    "over", ["first", "iter(first)", "tqdm(first, desc='x')", "bar", "loaders['train']", "loaders[phase]"]
)
def test_a_loader_is_found_behind_other_names(over):
    flow, loaders = found(
        "first = DataLoader(a)\nbar = tqdm(first)\nloaders = {'train': DataLoader(b), 'val': DataLoader(c)}\n"
    )
    loader = resolve_loader(flow, loaders, ast.parse(over, mode="eval").body, 3)
    assert loader is not None
    assert ast.unparse(loader.dataset) == ("b" if "loaders" in over else "a")


def test_a_dictionary_written_as_a_comprehension_is_taken_apart():
    _, loaders = found("d = {x: DataLoader(sets[x], batch_size=4) for x in ['train', 'val']}")
    assert [(loader.name, ast.unparse(loader.dataset), loader.role) for loader in loaders] == [
        ("d['train']", "sets['train']", "train"),
        ("d['val']", "sets['val']", "valid"),
    ]
