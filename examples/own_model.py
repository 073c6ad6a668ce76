"""A model and data of one's own, as a workload: breast tumors from scikit-learn, benign or malignant.

batchlab study examples/own_model.py:workload --batch-sizes 4:128 --report own-model.html
"""

from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split
from torch import nn

from batchlab import Workload

features, labels = load_breast_cancer(return_X_y=True)
features = (features - features.mean(axis=0)) / features.std(axis=0)

x_rest, x_test, y_rest, y_test = train_test_split(features, labels, test_size=0.2, random_state=0)
x_train, x_valid, y_train, y_valid = train_test_split(x_rest, y_rest, test_size=0.25, random_state=0)


def model() -> nn.Module:
    """Return a fresh model; it is called once a trial, under the trial's own seed."""
    return nn.Sequential(nn.Linear(30, 64), nn.ReLU(), nn.Linear(64, 2))


workload = Workload(
    "tumors",
    model,
    (x_train, y_train),
    (x_valid, y_valid),
    (x_test, y_test),
    optimizer="adam",
    optimizer_settings={"lr": 1e-3},
    default_epochs=20,
)
