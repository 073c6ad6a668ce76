"""Regression: how far a disease has gone after a year, from scikit-learn's 442 diabetes patients.

batchlab study examples/regression.py:workload --batch-sizes 4:128
"""

from sklearn.datasets import load_diabetes
from sklearn.model_selection import train_test_split
from torch import Tensor, nn

from batchlab import Metric, Workload

features, progression = load_diabetes(return_X_y=True)
features = features / features.std(axis=0)
# One column, as the model has one output, with mean 0 and variance 1, so that usual learning rates fit.
targets = ((progression - progression.mean()) / progression.std()).reshape(-1, 1)

x_rest, x_test, y_rest, y_test = train_test_split(features, targets, test_size=0.2, random_state=0)
x_train, x_valid, y_train, y_valid = train_test_split(x_rest, y_rest, test_size=0.25, random_state=0)


def model() -> nn.Module:
    """Return a fresh network; it is called once a trial, under the trial's own seed."""
    return nn.Sequential(nn.Linear(10, 32), nn.ReLU(), nn.Linear(32, 1))


def squared_error(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return the mean squared error, in variances of the target: 1 is no better than a guess of the mean."""
    return nn.functional.mse_loss(outputs, targets)


workload = Workload(
    "diabetes",
    model,
    (x_train, y_train),
    (x_valid, y_valid),
    (x_test, y_test),
    loss=squared_error,
    metric=Metric("mse", squared_error, higher_is_better=False, margin=0.01),
    optimizer_settings={"lr": 0.02, "momentum": 0.9},
    unit="patient",
)
