"""A dataset of Hugging Face's `datasets` as it is: its columns arrive as a dictionary. Needs `pip install datasets`.

batchlab study examples/hugging_face_dataset.py:workload --batch-sizes 8:256
"""

from datasets import Dataset
from sklearn.datasets import load_wine
from torch import Tensor, nn

from batchlab import Metric, Workload

features, cultivars = load_wine(return_X_y=True)
features = (features - features.mean(axis=0)) / features.std(axis=0)

# Yours would come from load_dataset("..."), already tokenized.
wines = Dataset.from_dict({"features": features.astype("float32"), "label": cultivars})
wines = wines.shuffle(seed=0)


def model() -> nn.Module:
    """Return a fresh network; it is called once a trial, under the trial's own seed."""
    return nn.Sequential(nn.Linear(13, 32), nn.ReLU(), nn.Linear(32, 3))


def step(model: nn.Module, batch: dict[str, Tensor]) -> tuple[Tensor, int]:
    """Return the sum of the losses of a batch, and how many there are."""
    logits = model(batch["features"])
    return nn.functional.cross_entropy(logits, batch["label"], reduction="sum"), len(logits)


def count_errors(model: nn.Module, batch: dict[str, Tensor]) -> tuple[Tensor, int]:
    """Return how many wines are taken for others, and how many there are."""
    wrong = model(batch["features"]).argmax(dim=1) != batch["label"]
    return wrong.sum(), len(wrong)


workload = Workload(
    "wines",
    model,
    wines.select(range(100)),
    wines.select(range(100, 140)),
    wines.select(range(140, len(wines))),
    step=step,
    metric=Metric("error", count_errors, margin=0.01),
    optimizer="adam",
    optimizer_settings={"lr": 3e-3},
    cache=True,
)
