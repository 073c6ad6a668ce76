"""Whole scripts, each read, written as a workload file, and loaded."""

import ast
import json
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from batchlab.cli.main import main
from batchlab.cli.template import from_script
from batchlab.errors import WorkloadError
from batchlab.workload import cross_entropy
from batchlab.workloads.loading import load_workload

# As much of the package as the scripts below ask for, with data made up.
TORCHVISION = """
import torch


class _Anything:
    def __getattr__(self, name):
        return lambda *arguments, **keywords: name


class _Datasets:
    @staticmethod
    def MNIST(root, train=True, download=False, transform=None):
        count = 60 if train else 20
        images = torch.rand(count, 1, 8, 8, generator=torch.Generator().manual_seed(int(train)))
        return torch.utils.data.TensorDataset(images, (10 * images[:, 0, 0, 0]).long())


datasets, transforms = _Datasets(), _Anything()
"""
MNIST = """
import argparse
import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim
from torchvision import datasets, transforms
from torch.optim.lr_scheduler import StepLR


class Net(nn.Module):
    def __init__(self):
        super(Net, self).__init__()
        self.fc = nn.Linear(64, 10)   # a comment to keep

    def forward(self, x):
        return F.log_softmax(self.fc(torch.flatten(x, 1)), dim=1)


def train(args, model, device, train_loader, optimizer, epoch):
    model.train()
    for batch_idx, (data, target) in enumerate(train_loader):
        data, target = data.to(device), target.to(device)
        optimizer.zero_grad()
        output = model(data)
        loss = F.nll_loss(output, target)
        loss.backward()
        optimizer.step()
        if batch_idx % args.log_interval == 0:
            print(f"epoch {epoch}")
            if args.dry_run:
                break


def test(model, device, test_loader):
    model.eval()
    correct = 0
    with torch.no_grad():
        for data, target in test_loader:
            data, target = data.to(device), target.to(device)
            output = model(data)
            correct += output.argmax(dim=1).eq(target).sum().item()
    print(correct / len(test_loader.dataset))


def main():
    parser = argparse.ArgumentParser(description="digits")
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--test-batch-size", type=int, default=1000)
    parser.add_argument("--epochs", type=int, default=14)
    parser.add_argument("--lr", type=float, default=1.0)
    parser.add_argument("--gamma", type=float, default=0.7)
    parser.add_argument("--no-cuda", action="store_true")
    parser.add_argument("--dry-run", action="store_true")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--log-interval", type=int, default=10)
    args = parser.parse_args()
    use_cuda = not args.no_cuda and torch.cuda.is_available()
    torch.manual_seed(args.seed)
    device = torch.device("cuda" if use_cuda else "cpu")
    train_kwargs = {"batch_size": args.batch_size}
    test_kwargs = {"batch_size": args.test_batch_size}
    if use_cuda:
        cuda_kwargs = {"num_workers": 1, "pin_memory": True, "shuffle": True}
        train_kwargs.update(cuda_kwargs)
        test_kwargs.update(cuda_kwargs)
    transform = transforms.Compose([transforms.ToTensor()])
    dataset1 = datasets.MNIST("../data", train=True, download=True, transform=transform)
    dataset2 = datasets.MNIST("../data", train=False, transform=transform)
    train_loader = torch.utils.data.DataLoader(dataset1, **train_kwargs)
    test_loader = torch.utils.data.DataLoader(dataset2, **test_kwargs)
    model = Net().to(device)
    optimizer = optim.Adadelta(model.parameters(), lr=args.lr)
    scheduler = StepLR(optimizer, step_size=1, gamma=args.gamma)
    for epoch in range(1, args.epochs + 1):
        train(args, model, device, train_loader, optimizer, epoch)
        test(model, device, test_loader)
        scheduler.step()


if __name__ == "__main__":
    main()
"""
ALL_IN_MAIN = """
import torch
from torch import nn, optim
from torch.utils.data import DataLoader, TensorDataset, random_split

HIDDEN = 32


def main(epochs=3, lr=0.05):
    torch.manual_seed(1)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    x = torch.randn(120, 8)
    y = (x[:, 0] > 0).long()
    data = TensorDataset(x, y)
    train_set, val_set, test_set = random_split(data, [80, 20, 20])
    train_loader = DataLoader(train_set, 16, shuffle=True, num_workers=0)
    val_loader = DataLoader(val_set, batch_size=64)
    test_loader = DataLoader(test_set, batch_size=64)
    model = nn.Sequential(nn.Linear(8, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 2)).to(device)
    for layer in model:
        if isinstance(layer, nn.Linear):
            nn.init.zeros_(layer.bias)
    criterion = nn.CrossEntropyLoss(label_smoothing=0.1)
    optimizer = optim.SGD(model.parameters(), lr, momentum=0.9, weight_decay=1e-4)
    scaler = torch.amp.GradScaler()
    for epoch in range(epochs):
        model.train()
        running = 0.0
        for i, batch in enumerate(train_loader):
            inputs, labels = [t.to(device) for t in batch]
            with torch.autocast(device_type=device, dtype=torch.bfloat16):
                logits = model(inputs)
                loss = criterion(logits, labels) / 4
            scaler.scale(loss).backward()
            if (i + 1) % 4 == 0:
                scaler.unscale_(optimizer)
                torch.nn.utils.clip_grad_norm_(model.parameters(), max_norm=1.0)
                scaler.step(optimizer)
                scaler.update()
                optimizer.zero_grad()
            running += loss.item()
        print(epoch, running)


if __name__ == "__main__":
    main()
"""
DICTIONARIES = """
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset
from tqdm.auto import tqdm
from types import SimpleNamespace


class Reviews(Dataset):
    def __init__(self, n, seed):
        g = torch.Generator().manual_seed(seed)
        self.lengths = torch.randint(3, 9, (n,), generator=g).tolist()
        self.labels = [length % 2 for length in self.lengths]

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, i):
        return {"input_ids": list(range(self.lengths[i])), "labels": self.labels[i]}


class Classifier(nn.Module):
    def __init__(self, vocab):
        super().__init__()
        self.embed = nn.Embedding(vocab, 8)
        self.head = nn.Linear(8, 2)

    def forward(self, input_ids, attention_mask, labels=None):
        logits = self.head((self.embed(input_ids) * attention_mask[..., None]).sum(1))
        return SimpleNamespace(loss=nn.functional.cross_entropy(logits, labels), logits=logits)


PAD = 0


def collate(items):
    longest = max(len(item["input_ids"]) for item in items)
    missing = [longest - len(item["input_ids"]) for item in items]
    ids = [item["input_ids"] + [PAD] * more for item, more in zip(items, missing)]
    mask = [[1] * (longest - more) + [0] * more for more in missing]
    labels = [item["labels"] for item in items]
    return {"input_ids": torch.tensor(ids), "attention_mask": torch.tensor(mask), "labels": torch.tensor(labels)}


train_dataset, eval_dataset = Reviews(96, 0), Reviews(32, 1)
train_dataloader = DataLoader(train_dataset, shuffle=True, batch_size=8, collate_fn=collate)
eval_dataloader = DataLoader(eval_dataset, batch_size=8, collate_fn=collate)
model = Classifier(vocab=10)
no_decay = ["bias"]
groups = [
    {"params": [p for n, p in model.named_parameters() if not any(k in n for k in no_decay)], "weight_decay": 0.01},
    {"params": [p for n, p in model.named_parameters() if any(k in n for k in no_decay)], "weight_decay": 0.0},
]
optimizer = torch.optim.AdamW(groups, lr=5e-3)
num_epochs = 3
lr_scheduler = get_scheduler("linear", optimizer=optimizer, num_training_steps=num_epochs * len(train_dataloader))
device = torch.device("cuda") if torch.cuda.is_available() else torch.device("cpu")
model.to(device)
progress_bar = tqdm(range(10))
for epoch in range(num_epochs):
    model.train()
    for batch in train_dataloader:
        batch = {k: v.to(device) for k, v in batch.items()}
        outputs = model(**batch)
        loss = outputs.loss
        loss.backward()
        optimizer.step()
        lr_scheduler.step()
        optimizer.zero_grad()
        progress_bar.update(1)
    model.eval()
    for batch in eval_dataloader:
        with torch.no_grad():
            outputs = model(**batch)
"""
REGRESSION = """
import numpy as np
import torch
import torch.nn as nn

rng = np.random.default_rng(0)
X = rng.normal(size=(200, 5)).astype(np.float32)
y = X.sum(axis=1, keepdims=True)
X_train, X_test = torch.tensor(X[:150]), torch.tensor(X[150:])
y_train, y_test = torch.tensor(y[:150]), torch.tensor(y[150:])
model = nn.Sequential(nn.Linear(5, 16), nn.Tanh(), nn.Linear(16, 1))
loss_fn = nn.MSELoss()
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
n_epochs = 20
batch_size = 10
batch_start = torch.arange(0, len(X_train), batch_size)
for epoch in range(n_epochs):
    model.train()
    for start in batch_start:
        X_batch = X_train[start:start + batch_size]
        y_batch = y_train[start:start + batch_size]
        y_pred = model(X_batch)
        loss = loss_fn(y_pred, y_batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
"""
CELLS = [
    "%matplotlib inline\n!pip install something\nimport torch\nfrom torch import nn\nimport matplotlib.pyplot as plt",
    "%%time\nfrom sklearn.datasets import load_breast_cancer\nfrom sklearn.model_selection import train_test_split\n"
    "data = load_breast_cancer()\n"
    "X_tr, X_val, y_tr, y_val = train_test_split(data.data, data.target, test_size=0.2)\n"
    "mu, sd = X_tr.mean(0), X_tr.std(0)\n"
    "train_ds = torch.utils.data.TensorDataset(torch.tensor((X_tr - mu) / sd).float(), torch.tensor(y_tr).float())\n"
    "valid_ds = torch.utils.data.TensorDataset(torch.tensor((X_val - mu) / sd).float(), torch.tensor(y_val).float())\n"
    "train_ds?",
    "%%bash\nls -la",
    "def get_loaders(bs):\n"
    "    train_dl = torch.utils.data.DataLoader(train_ds, batch_size=bs, shuffle=True)\n"
    "    return train_dl, torch.utils.data.DataLoader(valid_ds, batch_size=2 * bs)\n\n"
    "train_dl, valid_dl = get_loaders(32)\nplt.plot([1])",
    "class Net(nn.Module):\n    def __init__(self, n):\n        super().__init__()\n        self.fc = nn.Linear(n, 1)\n"
    "    def forward(self, x):\n        return self.fc(x)\n"
    "net = Net(data.data.shape[1]).cuda()\nopt = torch.optim.Adam(net.parameters(), lr=1e-2)\n"
    "crit = nn.BCEWithLogitsLoss()",
    "def fit(model, dl, epochs):\n    for epoch in range(epochs):\n        for xb, yb in dl:\n"
    "            pred = model(xb.cuda()).squeeze(1)\n            loss = crit(pred, yb.cuda())\n"
    "            opt.zero_grad(); loss.backward(); opt.step()\nfit(net, train_dl, epochs=5)",
]
PHASES = """
import torch
from torch import nn, optim
from torchvision import datasets

sets = {x: datasets.MNIST(".", train=x == "train") for x in ["train", "val"]}
loaders = {x: torch.utils.data.DataLoader(sets[x], batch_size=4, shuffle=True, num_workers=3) for x in ["train", "val"]}


def train_model(model, criterion, optimizer, num_epochs=25):
    for epoch in range(num_epochs):
        for phase in ["train", "val"]:
            for inputs, labels in loaders[phase]:
                with torch.set_grad_enabled(phase == "train"):
                    outputs = model(inputs)
                    loss = criterion(outputs, labels)
                    if phase == "train":
                        loss.backward()
                        optimizer.step()
    return model


model_ft = nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.Linear(32, 5))
for param in model_ft.parameters():
    param.requires_grad = False
model_ft[2] = nn.Linear(model_ft[2].in_features, 10)
optimizer_ft = optim.SGD(model_ft[2].parameters(), lr=0.001, momentum=0.9)
model_ft = train_model(model_ft, nn.CrossEntropyLoss(), optimizer_ft)
"""
RESHAPED = """
import click
import numpy as np
import torch
from dataclasses import dataclass
from torch import nn
from torch.utils.data import DataLoader, SubsetRandomSampler, TensorDataset


@dataclass
class Config:
    lr: float = 3e-4
    batch_size: int = 2 ** 5


cfg = Config()


def make_data(n):
    x = torch.rand(n, 1, 4, 4)
    return TensorDataset(x, (x.mean((1, 2, 3)) > 0.5).long())


@click.command()
def run(width=16):
    dataset = make_data(500)
    idx = list(range(500))
    np.random.shuffle(idx)
    loaders = {
        "train": DataLoader(dataset, cfg.batch_size, sampler=SubsetRandomSampler(idx[100:])),
        "valid": DataLoader(dataset, cfg.batch_size, sampler=SubsetRandomSampler(idx[:100])),
    }
    net = nn.Sequential(nn.Linear(16, width), nn.ReLU(), nn.Linear(width, 2))
    if torch.cuda.device_count() > 1:
        net = nn.DataParallel(net)
    net.cuda()
    weights = torch.tensor([1.0, 2.0])
    lossfn = nn.CrossEntropyLoss(weight=weights.cuda())
    params = filter(lambda p: p.requires_grad, net.parameters())
    opt = torch.optim.NAdam(params)
    for ep in range(4):
        for images, labels in loaders["train"]:
            images = images.view(-1, 16)
            scores = net(images)
            loss = lossfn(scores, labels)
            loss.backward()
            opt.step()


if __name__ == "__main__":
    run()
"""


@pytest.fixture(autouse=True)
def restored_imports():
    """Loading adds to the import path and to the modules: put both back."""
    path, modules = list(sys.path), set(sys.modules)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        if name.startswith(("batchlab_file_", "torchvision")):
            del sys.modules[name]


@pytest.fixture
def made(tmp_path):
    """Write a script, read it, and return the new file's text and the workload in it."""

    def make(script, name="train.py"):
        (tmp_path / "torchvision.py").write_text(TORCHVISION)
        (tmp_path / name).write_text(script)
        new = from_script(tmp_path / name, tmp_path / "workload.py")
        (tmp_path / "workload.py").write_text(new.text)
        return new, load_workload(f"{tmp_path / 'workload.py'}:{new.attribute}")

    return make


def batch_of(workload, count=6):
    return tuple(part[:count] for part in workload.train)


def test_a_script_with_train_and_test_functions_becomes_a_workload(made):
    new, workload = made(MNIST)
    assert workload.loss is nn.functional.nll_loss
    assert workload.optimizer is torch.optim.Adadelta
    assert workload.optimizer_settings == {"lr": 1.0}
    assert (workload.default_batch_size, workload.default_epochs, workload.num_workers) == (16, 14, 0)
    assert workload.make_model()(workload.train[0][:2]).shape == (2, 10)
    assert new.doubts == (
        "no validation data were found: a tenth of the training data is held out",
        "line 74: the schedule `StepLR` is left out; see `--schedule` of `batchlab study`",
    )


def test_what_is_read_is_told_with_its_line(made):
    new, _ = made(MNIST)
    assert new.found == (
        "model              Net()  (line 72)",
        "train              dataset1  (line 70)",
        "test               dataset2  (line 71)",
        "loss               F.nll_loss  (line 27)",
        "optimizer          optim.Adadelta  (line 73)",
        'optimizer_settings {"lr": 1.0}  (line 73)',
        "default_batch_size 16  (line 70)",
        "default_epochs     14  (line 75)",
    )


def test_validation_data_are_held_out_of_the_training_data_and_the_test_data_left_alone(made):
    _, workload = made(MNIST)
    assert [len(split[1]) for split in (workload.train, workload.valid, workload.test)] == [54, 6, 20]
    pixels = {float(image[0, 1, 1]) for image in [*workload.train[0], *workload.valid[0]]}
    assert len(pixels) == 60


def test_code_is_kept_as_it_was_written(made):
    new, _ = made(MNIST)
    assert "        self.fc = nn.Linear(64, 10)   # a comment to keep\n" in new.text


def test_what_belongs_to_the_loop_alone_is_left_behind(made):
    new, _ = made(MNIST)
    kept = {node.name for node in ast.walk(ast.parse(new.text)) if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    assert kept == {"Net", "__init__", "forward", "model", "workload"}
    assert not any(word in new.text for word in ("argparse", "device", "DataLoader", "print", "scheduler ="))


def test_a_main_function_with_everything_in_it_becomes_a_workload(made):
    new, workload = made(ALL_IN_MAIN)
    assert new.doubts == ()
    assert [len(split[0]) for split in (workload.train, workload.valid, workload.test)] == [80, 20, 20]
    assert (workload.optimizer, workload.autocast, workload.clip_norm) == ("sgd", "bfloat16", 1.0)
    assert workload.optimizer_settings == {"lr": 0.05, "momentum": 0.9, "weight_decay": 1e-4}
    assert (workload.default_batch_size, workload.default_epochs) == (64, 3)


def test_the_share_of_accumulated_gradients_is_no_part_of_the_loss(made):
    _, workload = made(ALL_IN_MAIN)
    outputs, targets = torch.tensor([[1.0, 0.0], [0.0, 3.0]]), torch.tensor([0, 0])
    assert workload.loss(outputs, targets) == nn.CrossEntropyLoss(label_smoothing=0.1)(outputs, targets)


def test_a_model_keeps_what_was_done_to_it_after_it_was_made(made):
    _, workload = made(ALL_IN_MAIN)
    assert all(not layer.bias.any() for layer in workload.make_model() if isinstance(layer, nn.Linear))


def test_random_data_are_those_that_the_script_itself_draws(made):
    _, workload = made(ALL_IN_MAIN)
    torch.manual_seed(1)
    x = torch.randn(120, 8)
    chosen = torch.utils.data.random_split(range(120), [80, 20, 20])[0]
    assert torch.equal(workload.train[0], x[list(chosen)])


def test_batches_that_are_dictionaries_become_a_step(made):
    _, workload = made(DICTIONARIES)
    model = workload.make_model()
    batch = workload.collate([workload.train[0], workload.train[5], workload.train[9]])
    loss_sum, count = workload.step(model, batch)
    assert count == 3
    assert torch.allclose(loss_sum, 3 * model(**batch).loss)
    assert workload.metric.name == "loss"


def test_groups_of_parameters_become_a_function_of_the_model(made):
    _, workload = made(DICTIONARIES)
    model = workload.make_model()
    optimizer = workload.optimizer(model, {"lr": 0.25})
    assert [(len(group["params"]), group["weight_decay"], group["lr"]) for group in optimizer.param_groups] == [
        (2, 0.01, 0.25),
        (1, 0.0, 0.25),
    ]
    assert workload.optimizer_settings == {"lr": 5e-3}


def test_batches_cut_from_tensors_become_the_tensors(made):
    new, workload = made(REGRESSION)
    assert [tuple(split[0].shape) for split in (workload.train, workload.valid, workload.test)] == [
        (135, 5),
        (15, 5),
        (50, 5),
    ]
    assert (workload.default_batch_size, workload.default_epochs, workload.optimizer) == (10, 20, "adam")
    assert 'metric=Metric("mse", nn.MSELoss()),' in new.text


def test_the_metric_of_a_regression_is_its_loss(made):
    _, workload = made(REGRESSION)
    outputs, targets = torch.tensor([[1.0], [2.0]]), torch.tensor([[0.0], [0.0]])
    assert (workload.metric.name, float(workload.metric.function(outputs, targets))) == ("mse", 2.5)
    assert float(workload.loss(outputs, targets)) == 2.5


def notebook(cells):
    written = [{"cell_type": "markdown", "source": ["# A title"]}]
    written += [{"cell_type": "code", "source": cell.splitlines(keepends=True)} for cell in cells]
    return json.dumps({"nbformat": 4, "cells": written})


def test_a_notebook_with_magics_becomes_a_workload(made):
    new, workload = made(notebook(CELLS), "book.ipynb")
    assert new.doubts == ("cell 3 is not Python and was left out",)
    assert new.found[0] == "model              Net(data.data.shape[1])  (cell 5, line 7)"
    assert (workload.default_batch_size, workload.default_epochs, workload.optimizer) == (32, 5, "adam")
    assert workload.make_model()(workload.train[0][:3]).shape == (3, 1)


def test_a_binary_loss_comes_with_an_error_of_its_own(made):
    _, workload = made(notebook(CELLS), "book.ipynb")
    outputs, targets = torch.tensor([[3.0], [-3.0], [2.0], [-2.0]]), torch.tensor([1.0, 0.0, 0.0, 0.0])
    assert (workload.metric.name, float(workload.metric.function(outputs, targets))) == ("error", 0.25)
    expected = nn.functional.binary_cross_entropy_with_logits(outputs[:, 0], targets)
    assert torch.equal(workload.loss(outputs, targets), expected)


def test_data_drawn_without_a_seed_get_one(made, tmp_path):
    _, workload = made(notebook(CELLS), "book.ipynb")
    again = load_workload(f"{tmp_path / 'workload.py'}:workload")
    assert torch.equal(workload.train[0], again.train[0])


def test_a_seed_of_the_script_is_set_wherever_its_functions_draw(made, tmp_path):
    new, workload = made(RESHAPED.replace("cfg = Config()", "cfg = Config()\ntorch.manual_seed(3)\nnp.random.seed(4)"))
    torch.manual_seed(3)
    expected = torch.rand(500, 1, 4, 4)
    assert sorted(workload.train[0].sum((1, 2, 3)).tolist() + workload.valid[0].sum((1, 2, 3)).tolist()) == sorted(
        expected.sum((1, 2, 3)).tolist()
    )
    assert new.text.index("torch.manual_seed(3)") > new.text.index("def workload():")
    again = load_workload(f"{tmp_path / 'workload.py'}:workload")
    assert torch.equal(workload.train[0], again.train[0])


def test_loaders_in_a_dictionary_are_told_apart_by_their_keys(made):
    new, workload = made(PHASES)
    assert new.doubts == ()
    assert (len(workload.train[0]), len(workload.valid[0]), workload.test) == (60, 20, None)
    assert workload.loss is cross_entropy
    assert (workload.num_workers, workload.default_batch_size, workload.default_epochs) == (3, 4, 25)


def test_a_frozen_model_with_a_new_head_stays_one(made):
    _, workload = made(PHASES)
    model = workload.make_model()
    assert [parameter.requires_grad for parameter in model.parameters()] == [False, False, True, True]
    group = workload.optimizer(model, {"lr": 1.0}).param_groups[0]
    assert [tuple(parameter.shape) for parameter in group["params"]] == [(10, 32), (10,)]


def test_inputs_that_the_loop_reshapes_become_a_step_with_errors(made):
    _, workload = made(RESHAPED)
    model, batch = workload.make_model(), batch_of(workload)
    outputs = model(batch[0].reshape(-1, 16))
    loss_sum, count = workload.step(model, batch)
    expected = nn.functional.cross_entropy(outputs, batch[1], weight=torch.tensor([1.0, 2.0]))
    assert torch.allclose(loss_sum / count, expected)
    wrong, total = workload.metric.function(model, batch)
    assert (int(wrong), total) == (int((outputs.argmax(dim=1) != batch[1]).sum()), 6)


def test_indices_given_to_samplers_become_subsets(made):
    _, workload = made(RESHAPED)
    assert (len(workload.train[0]), len(workload.valid[0])) == (400, 100)
    assert (workload.default_batch_size, workload.optimizer_settings) == (32, {"lr": 2e-3})


def test_a_new_file_is_python_without_names_that_are_not_defined(made):
    for script in (MNIST, ALL_IN_MAIN, DICTIONARIES, REGRESSION, PHASES, RESHAPED):
        new, _ = made(script)
        assert "todo(" not in new.text
        assert "TODO" not in new.text


def test_what_is_not_found_is_a_stand_in_that_says_so(tmp_path):
    (tmp_path / "train.py").write_text("print('nothing to train')\n")
    new = from_script(tmp_path / "train.py", tmp_path / "workload.py")
    (tmp_path / "workload.py").write_text(new.text)
    with pytest.raises(WorkloadError) as caught:
        load_workload(f"{tmp_path / 'workload.py'}:workload")
    path = tmp_path / "workload.py"
    assert str(caught.value) == (
        f"'{path}:workload' should be a workload, but raised NotImplementedError when called without arguments: TODO: "
        f"the model: a function that makes a fresh torch.nn.Module ({path}, line 13); mend it and try again."
    )
    assert new.doubts == (
        "TODO: the model: a function that makes a fresh torch.nn.Module",
        "TODO: the training data: (inputs, targets), or a dataset",
        "TODO: the validation data: (inputs, targets), or a dataset",
        "TODO: the loss: a function (outputs, targets) that returns a mean",
        "no training loop was found: a `for` with a call of `.backward()` in it",
        "no optimizer was found: SGD with momentum stands in",
    )


def test_an_option_without_a_default_is_a_stand_in(tmp_path):
    text = MNIST.replace(
        '"--seed", type=int, default=1', '"--seed", type=int, default=1)\n    parser.add_argument("where"'
    )
    (tmp_path / "train.py").write_text(text.replace('"../data", train=True', "args.where, train=True"))
    new = from_script(tmp_path / "train.py", tmp_path / "workload.py")
    assert new.doubts[0] == "TODO: a value for the option `where`, which has no default"
    assert "datasets.MNIST(todo('a value for the option `where`, which has no default'), train=True," in new.text


def test_a_training_loop_in_a_class_is_said_not_to_be_read(tmp_path):
    (tmp_path / "train.py").write_text(
        "class Trainer:\n    def fit(self):\n        for x, y in self.loader:\n"
        "            self.loss(self.model(x), y).backward()\n"
    )
    new = from_script(tmp_path / "train.py", tmp_path / "workload.py")
    assert "line 4: the training loop is in a class, or in a function handed on, and was not read" in new.doubts


def test_what_the_loop_carries_from_batch_to_batch_is_named(tmp_path):
    text = ALL_IN_MAIN.replace("logits = model(inputs)", "logits, state = model(inputs, state)")
    (tmp_path / "train.py").write_text(text)
    new = from_script(tmp_path / "train.py", tmp_path / "workload.py")
    assert "TODO: `state` in `step`, which the loop carries from one batch to the next" in new.doubts


def test_a_script_is_never_run(tmp_path):
    (tmp_path / "train.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nraise SystemExit\n" + ALL_IN_MAIN)
    from_script(tmp_path / "train.py", tmp_path / "workload.py")
    assert not (tmp_path / "ran").exists()


def test_modules_beside_the_script_are_named_where_the_new_file_goes_elsewhere(tmp_path):
    (tmp_path / "nets.py").write_text("")
    (tmp_path / "elsewhere").mkdir()
    text = ALL_IN_MAIN.replace("import torch\n", "import torch\nfrom .nets import Net\n", 1)
    (tmp_path / "train.py").write_text(text.replace("nn.Linear(8, HIDDEN)", "Net(8, HIDDEN)"))
    new = from_script(tmp_path / "train.py", tmp_path / "elsewhere" / "workload.py")
    assert new.doubts == (f"nets is beside {tmp_path / 'train.py'}: write the file there too",)
    assert "\nfrom nets import Net\n" in new.text
    assert from_script(tmp_path / "train.py", tmp_path / "workload.py").doubts == ()


def test_reading_any_python_file_ends_in_a_file_that_can_be_parsed(tmp_path):
    folder = Path(ast.__file__).parent
    for path in sorted(folder.glob("[a-d]*.py"))[:40]:
        ast.parse(from_script(path, tmp_path / "workload.py").text)


@pytest.mark.usefixtures("untimed")
def test_a_workload_from_a_script_runs_as_a_study(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("train.py").write_text(DICTIONARIES)
    assert main(["init", "--from", "train.py"]) == 0
    line = "study workload.py:workload --epochs 1 --batch-sizes 32 --seeds 1 --lr 0.01 --workers 1 --quiet --json"
    assert main(line.split()) == 0
    printed = capsys.readouterr().out
    answer = json.loads(printed[printed.index("{\n") :])
    assert answer["trials"]["done"] == 1
