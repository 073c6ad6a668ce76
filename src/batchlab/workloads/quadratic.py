"""The noisy quadratic: what SGD does on it is known in closed form."""

import numpy as np
import torch
from torch import Tensor, nn

from batchlab.workload import Metric, Workload

N_PARAMETERS = 100
# Examples carry nothing: only their number counts, as each draws its noise when it is used.
N_TRAIN, N_VALID = 1024, 16


def quadratic() -> Workload:
    """Return L = 0.5 Σ hᵢ θᵢ² with h = c = 1/i in 100 dimensions from θ = 1 (Zhang et al. 2019).

    L is 2.5937 at the start and 0 at best; plain SGD with batch size 16 at 0.5 is expected to reach 0.05 in 313 steps.
    """
    return Workload(
        "quadratic",
        NoisyQuadraticModel,
        (np.zeros((N_TRAIN, 1)), np.zeros(N_TRAIN)),
        (np.zeros((N_VALID, 1)), np.zeros(N_VALID)),
        loss=mean_output,
        metric=Metric("excess loss", mean_output),
        optimizer_settings={"lr": 0.5, "momentum": 0.0},
        baseline="initial",
        default_epochs=8,
    )


def mean_output(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return the mean of `outputs`, shape (n,): each is an example's loss already, and there are no targets."""
    return outputs.mean()


class NoisyQuadraticModel(nn.Module):
    """One loss an example: 0.5 Σ hᵢ θᵢ², and ξ·θ with ξᵢ ~ N(0, cᵢ) drawn for each example while training.

    So the gradient of the mean over a batch is h θ plus the mean of its ξ, with variance c/B. The noise comes from
    torch's global generator; in evaluation mode there is none.
    """

    curvature: Tensor
    noise_sd: Tensor

    def __init__(self) -> None:
        super().__init__()
        curvature = 1 / torch.arange(1, N_PARAMETERS + 1, dtype=torch.float32)
        self.theta = nn.Parameter(torch.ones(N_PARAMETERS))
        self.register_buffer("curvature", curvature)
        self.register_buffer("noise_sd", curvature.sqrt())

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the loss of each example, shape (n,); of `inputs` only the length n matters."""
        excess = 0.5 * (self.curvature * self.theta.square()).sum()
        if not self.training:
            return excess.expand(len(inputs))
        noise = self.noise_sd * torch.randn(len(inputs), N_PARAMETERS, device=self.theta.device)
        return excess + noise @ self.theta
