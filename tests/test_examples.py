"""Every file in examples/ does what it says: its study runs to the end, and its parts are right."""

import importlib.util
import os
import runpy
import shlex
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import default_collate

import batchlab
from batchlab.api import Study
from batchlab.cli import study as study_command
from batchlab.cli.parser import Parser
from batchlab.train.optimizers import make_optimizer
from cases import reproducible

FOLDER = Path(__file__).parent.parent / "examples"
NAMES = sorted(path.stem for path in FOLDER.glob("*.py"))
MOST_LINES = 105


@dataclass(frozen=True)
class Small:
    """A small study of an example: its learning rate, and after how many steps it must be better than the baseline."""

    lr: float
    steps: int
    metric: str


STUDIES = {
    "augmented_images": Small(0.05, 80, "error"),
    "fine_tuning": Small(0.02, 40, "error"),
    "hugging_face_dataset": Small(0.003, 20, "error"),
    "imbalanced": Small(0.02, 40, "balanced error"),
    "multi_label": Small(0.01, 40, "F1"),
    "regression": Small(0.02, 30, "mse"),
    "sequence_classification": Small(0.003, 20, "accuracy"),
}


@pytest.fixture(autouse=True)
def no_data_files(monkeypatch):
    monkeypatch.delenv("BATCHLAB_DATA", raising=False)


@pytest.fixture
def one_core():
    """Keep to one core what is started here: two threads that time steps on a busy machine slow each other tenfold."""
    if not hasattr(os, "sched_getaffinity"):
        yield
        return
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {sorted(cores)[os.getpid() % len(cores)]})
    yield
    os.sched_setaffinity(0, cores)


def need(*packages: str) -> None:
    """Skip where a package that only an example needs is not installed."""
    missing = [package for package in packages if importlib.util.find_spec(package) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")


def parts_of(name: str) -> dict:
    """Return what an example defines; random states and threads are left as found."""
    with reproducible(seed=0):
        return runpy.run_path(str(FOLDER / f"{name}.py"))


def studied(name: str, folder: Path) -> Study:
    small = STUDIES[name]
    return batchlab.study(
        f"{FOLDER / name}.py:workload",
        batch_sizes=(16, 32),
        seeds=2,
        steps=small.steps,
        lr=small.lr,
        workers=1,
        store=folder / "s.db",
    )


@pytest.mark.parametrize("name", STUDIES)
@pytest.mark.usefixtures("untimed")
def test_an_example_is_studied_and_learns(name, tmp_path):
    if name == "hugging_face_dataset":
        need("datasets")
    study = studied(name, tmp_path)
    assert [trial.status for trial in study.trials] == ["done"] * 4
    info = study.record.info
    assert info.metric == STUDIES[name].metric
    sign = 1 if info.higher_is_better else -1
    gains = [sign * (trial.valid_metric - trial.baseline_metric) for trial in study.trials]
    assert np.mean(gains) > 0.05
    assert info.name in study.record.name and study.answer.sentence


def test_every_example_is_tested_and_short_and_the_command_it_names_is_right():
    # That of own_model.py is run by the tests of the command.
    assert set(NAMES) == {*STUDIES, "own_model"}
    for name in NAMES:
        source = (FOLDER / f"{name}.py").read_text()
        assert len(source.splitlines()) <= MOST_LINES
        command = next(line for line in source.splitlines() if line.startswith("batchlab study "))
        parser = Parser()
        study_command.add_options(parser)
        arguments = parser.parse_args(shlex.split(command)[2:])
        assert arguments.workload == f"examples/{name}.py:workload"


@pytest.mark.usefixtures("one_core")
def test_the_notebook_runs_where_there_are_no_files(tmp_path):
    need("nbclient", "nbformat", "ipykernel")
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(FOLDER / "mnist_notebook.ipynb", as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells), "the notebook is kept without its outputs"
    NotebookClient(notebook, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}).execute()
    outputs = {cell.id: cell.outputs for cell in notebook.cells if cell.cell_type == "code"}
    assert outputs["data"][0].text == "1079 training images of 8 x 8 pixels\n"
    assert "Use batch size" in outputs["study"][-1].data["text/plain"]
    assert any("plotly" in kind for output in outputs["plot"] for kind in output.data)


def test_sequences_are_padded_to_the_longest_of_their_batch():
    parts = parts_of("sequence_classification")
    items = [(torch.tensor([1, 5, 2]), 0), (torch.tensor([2]), 1)]
    batch = parts["collate"](items)
    assert batch["tokens"].tolist() == [[1, 5, 2], [2, 0, 0]]
    assert batch["mask"].tolist() == [[True, True, True], [True, False, False]]
    assert batch["labels"].tolist() == [0, 1]


def test_padding_changes_no_output():
    parts = parts_of("sequence_classification")
    with reproducible(seed=0):
        model = parts["Classifier"]()
    sequences = [parts["workload"].train[index] for index in range(8)]
    together, alone = parts["collate"](sequences), parts["collate"](sequences[:1])
    first = model(together["tokens"], together["mask"])[:1]
    torch.testing.assert_close(first, model(alone["tokens"], alone["mask"]))


def test_the_label_of_a_sequence_is_the_mark_it_has_more_of():
    for tokens, label in parts_of("sequence_classification")["workload"].train.items:
        assert ((tokens == 2).sum() > (tokens == 1).sum()) == bool(label)


def test_biases_and_norms_do_not_decay():
    parts = parts_of("sequence_classification")
    workload = parts["workload"]
    model = workload.make_model()
    optimizer = make_optimizer(workload, model, workload.optimizer_name, 0.01, ())
    names = {parameter: name for name, parameter in model.named_parameters()}
    decay = {names[one]: group["weight_decay"] for group in optimizer.param_groups for one in group["params"]}
    assert set(decay) == set(names.values())
    without = {name for name in decay if name.endswith("bias") or "norm" in name}
    assert {name for name, value in decay.items() if value == 0} == without
    assert [group["lr"] for group in optimizer.param_groups] == [0.01, 0.01]


def test_only_training_images_are_shifted():
    workload = parts_of("augmented_images")["workload"]
    with reproducible(seed=0):
        shifted = {workload.train[3][0].numpy().tobytes() for _ in range(60)}
        still = {workload.valid[3][0].numpy().tobytes() for _ in range(60)}
    assert 4 < len(shifted) <= 9
    assert len(still) == 1


def test_a_shifted_image_is_part_of_the_same_picture():
    parts = parts_of("augmented_images")
    with reproducible(seed=1):
        for index in range(20):
            image, label = parts["workload"].train[index]
            whole = np.pad(parts["images"][index, 0].numpy(), 1)
            windows = [whole[down : down + 8, right : right + 8] for down in range(3) for right in range(3)]
            assert any(np.array_equal(image[0].numpy(), window) for window in windows)
            assert label == parts["labels"][index]


def test_fine_tuning_keeps_the_first_layer_and_starts_from_the_same_weights():
    workload = parts_of("fine_tuning")["workload"]
    first, second = workload.make_model(), workload.make_model()
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    frozen = {name for name, parameter in first.named_parameters() if not parameter.requires_grad}
    assert frozen == {"0.weight", "0.bias"}


def test_fine_tuning_starts_from_what_was_learned_before():
    parts = parts_of("fine_tuning")
    network = parts["pretrained"](parts["inputs"][parts["old"]], parts["labels"][parts["old"]])
    right = network(parts["inputs"][parts["old"]]).argmax(dim=1) == parts["labels"][parts["old"]]
    assert right.float().mean() > 0.95
    assert torch.equal(network[0].weight, parts["workload"].model[0].weight)


def test_the_rare_class_is_drawn_more_often_than_it_is_there():
    parts = parts_of("imbalanced")
    train = parts["workload"].train
    drawn = list(parts["sampler"](train, torch.Generator().manual_seed(0)))
    assert len(drawn) == len(train[1])
    share = float(train[1].float().mean())
    # The standard deviation of the share of 1,200 draws is below 0.015.
    assert float(train[1][drawn].float().mean()) == pytest.approx(3 * share / (1 + 2 * share), abs=0.05)


def test_the_balanced_error_is_that_of_scikit_learn():
    from sklearn.metrics import balanced_accuracy_score

    parts = parts_of("imbalanced")
    targets = parts["targets"]
    outputs = torch.randn(len(targets), 2, generator=torch.Generator().manual_seed(0))
    expected = 1 - balanced_accuracy_score(targets, outputs.argmax(dim=1))
    assert float(parts["balanced_error"](outputs, targets)) == pytest.approx(expected, abs=1e-6)


def test_f1_per_document_is_that_of_scikit_learn():
    from sklearn.metrics import f1_score

    parts = parts_of("multi_label")
    targets = parts["workload"].valid[1]
    outputs = torch.randn(targets.shape, generator=torch.Generator().manual_seed(0))
    expected = f1_score(targets.numpy(), outputs.numpy() > 0, average="samples", zero_division=0)
    assert float(parts["f1_per_document"](outputs, targets)) == pytest.approx(expected, abs=1e-6)


def test_a_hugging_face_dataset_gives_dictionaries_of_tensors():
    need("datasets")
    workload = parts_of("hugging_face_dataset")["workload"]
    batch = default_collate([workload.train[index] for index in range(4)])
    assert {key: (tuple(value.shape), value.dtype) for key, value in batch.items()} == {
        "features": ((4, 13), torch.float32),
        "label": ((4,), torch.int64),
    }
