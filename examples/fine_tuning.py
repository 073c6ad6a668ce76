"""Fine-tuning: a network that has learned the digits 0 to 4 goes on with 5 to 9; its first layer stays as it is.

batchlab study examples/fine_tuning.py:workload --batch-sizes 4:128
"""

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

from batchlab import Workload

pixels, digits = load_digits(return_X_y=True)
order = torch.randperm(len(digits), generator=torch.Generator().manual_seed(0))
inputs = torch.tensor(pixels / 16, dtype=torch.float32)[order]
labels = torch.tensor(digits)[order]
old, new = labels < 5, labels >= 5


def pretrained(inputs: Tensor, targets: Tensor) -> nn.Sequential:
    """Return a network trained on these data for a second; usually you would load a file instead.

    In a study this runs in every worker process: with a seed, and one thread, all of them get the same weights.
    """
    torch.set_num_threads(1)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 5))
        optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
        for _ in range(60):
            optimizer.zero_grad()
            nn.functional.cross_entropy(network(inputs), targets).backward()
            optimizer.step()
    return network


network = pretrained(inputs[old], labels[old])
network[0].requires_grad_(False)
# A new last layer; a module as `model` is copied, so that every trial starts from these very weights.
network[4] = nn.utils.skip_init(nn.Linear, 32, 5)
nn.init.zeros_(network[4].weight)
nn.init.zeros_(network[4].bias)

new_inputs, new_labels = inputs[new], labels[new] - 5

workload = Workload(
    "new-digits",
    network,
    (new_inputs[:500], new_labels[:500]),
    (new_inputs[500:700], new_labels[500:700]),
    (new_inputs[700:], new_labels[700:]),
    optimizer_settings={"lr": 0.02, "momentum": 0.9},
    default_epochs=5,
)
