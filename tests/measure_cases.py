"""Small models of every kind that a gradient is measured of, with their losses and data."""

import torch
from torch import nn
from torch.nn import functional

from batchlab.measure.gradients import mean_loss_of, trained_parameters
from batchlab.workloads.transformer import _Block

N = 6
CLASSIFICATION = mean_loss_of(functional.cross_entropy)
NEXT_TOKEN = mean_loss_of(lambda outputs, targets: functional.cross_entropy(outputs.flatten(0, 1), targets.flatten()))


class Tokens(nn.Module):
    """A small transformer; with `tied` its embedding is also its output layer."""

    def __init__(self, tied=False):
        super().__init__()
        self.embedding = nn.Embedding(11, 8)
        self.block = _Block(8, 2)
        self.norm = nn.LayerNorm(8)
        self.output = None if tied else nn.Linear(8, 11)

    def forward(self, tokens):
        hidden = self.norm(self.block(self.embedding(tokens)))
        return hidden @ self.embedding.weight.T if self.output is None else self.output(hidden)


class Recurrent(nn.Module):
    """An LSTM, which vmap cannot go through."""

    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(3, 4, batch_first=True)
        self.output = nn.Linear(4, 5)

    def forward(self, inputs):
        return self.output(self.lstm(inputs)[0][:, -1])


class Shifted(nn.Module):
    """g_i = w - x_i for the loss |w - x_i|²/2: gradients have mean w - E x and the covariance of x."""

    def __init__(self, start):
        super().__init__()
        self.w = nn.Parameter(torch.as_tensor(start, dtype=torch.float32).clone())

    def forward(self, inputs):
        return 0.5 * (self.w - inputs).square().sum(dim=1)


def mean_output(model, batch):
    return model(batch).mean()


def mlp():
    return nn.Sequential(nn.Linear(7, 9), nn.ReLU(inplace=True), nn.Linear(9, 5))


def cnn():
    return nn.Sequential(
        nn.Conv2d(2, 4, 3, stride=2, padding=1),
        nn.GroupNorm(2, 4),
        nn.ReLU(),
        nn.Conv2d(4, 4, 3, dilation=2, padding=2, groups=2, bias=False),
        nn.Flatten(),
        nn.Linear(64, 5),
    )


def vectors(seed=0, n=N):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, 7, generator=generator), torch.randint(5, (n,), generator=generator)


def images():
    generator = torch.Generator().manual_seed(0)
    return torch.randn(N, 2, 8, 8, generator=generator), torch.randint(5, (N,), generator=generator)


def tokens(length=10):
    generator = torch.Generator().manual_seed(0)
    # Few tokens, so that each comes up several times in a sequence.
    return torch.randint(4, (N, length), generator=generator), torch.randint(11, (N, length), generator=generator)


def case(name):
    """Return model, mean loss and batch, always the same."""
    torch.manual_seed(1)
    return {
        "mlp": lambda: (mlp(), CLASSIFICATION, vectors()),
        "cnn": lambda: (cnn(), CLASSIFICATION, images()),
        "transformer": lambda: (Tokens(), NEXT_TOKEN, tokens()),
        "short sequences": lambda: (Tokens(), NEXT_TOKEN, tokens(2)),
        "tied": lambda: (Tokens(tied=True), NEXT_TOKEN, tokens()),
        "lstm": lambda: (Recurrent(), CLASSIFICATION, (torch.randn(N, 4, 3), torch.randint(5, (N,)))),
    }[name]()


CLOSED = ("mlp", "cnn", "transformer", "short sequences")
ALL = (*CLOSED, "tied", "lstm")


def plain_gradients(model, mean_loss, batch):
    """Return the gradient of each example by one backward pass each, shape (examples, parameters), float64."""
    rows = []
    for index in range(len(batch[0])):
        model.zero_grad()
        mean_loss(model, tuple(part[index : index + 1] for part in batch)).backward()
        found = [torch.zeros_like(p) if p.grad is None else p.grad for p in trained_parameters(model).values()]
        rows.append(torch.cat([gradient.flatten() for gradient in found]).double())
    model.zero_grad()
    return torch.stack(rows)
