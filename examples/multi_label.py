"""Several labels an example, any number of them right, and a metric of which more is better.

batchlab study examples/multi_label.py:workload --batch-sizes 8:256
"""

import numpy as np
from sklearn.datasets import make_multilabel_classification
from torch import Tensor, nn

from batchlab import Metric, Workload

N_WORDS, N_TOPICS = 40, 6

# Documents as counts of words; each has a few of six topics.
counts, topics = make_multilabel_classification(
    1200, n_features=N_WORDS, n_classes=N_TOPICS, n_labels=2, random_state=0
)
inputs = np.log1p(counts)
# The loss wants floating targets: 1.0 where the topic is there.
targets = topics.astype(np.float32)


def model() -> nn.Module:
    """Return a fresh network with one output, a logit, for each topic."""
    return nn.Sequential(nn.Linear(N_WORDS, 64), nn.ReLU(), nn.Linear(64, N_TOPICS))


def f1_per_document(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return the F1 score of each document's topics, averaged over documents.

    A mean over examples, as every metric here has to be; the F1 score of a whole data set is not one.
    """
    predicted = outputs > 0
    found = (predicted * targets).sum(dim=1)
    return (2 * found / (predicted.sum(dim=1) + targets.sum(dim=1)).clamp(min=1)).mean()


workload = Workload(
    "topics",
    model,
    (inputs[:800], targets[:800]),
    (inputs[800:1000], targets[800:1000]),
    (inputs[1000:], targets[1000:]),
    loss=nn.BCEWithLogitsLoss(),
    metric=Metric("F1", f1_per_document, higher_is_better=True, margin=0.01),
    optimizer="adam",
    optimizer_settings={"lr": 0.01},
    unit="document",
)
