"""Measurements of a model at fixed parameters: its gradients, their noise and how they interfere.

All take the model, a function `mean_loss(model, batch)` and batches, and leave the model as they found it.
"""

from batchlab.measure.gradient_norms import NormDraws, measure_gradient_norms
from batchlab.measure.gradients import MeanLoss, mean_loss_of
from batchlab.measure.interference import gradient_gram
from batchlab.measure.noise import NoiseMeasurement, measure_noise
from batchlab.measure.per_example import per_example_gradients, per_example_sq_norms
from batchlab.measure.step_order import StepOrder, measure_step_order

__all__ = [
    "MeanLoss",
    "NoiseMeasurement",
    "NormDraws",
    "StepOrder",
    "gradient_gram",
    "mean_loss_of",
    "measure_gradient_norms",
    "measure_noise",
    "measure_step_order",
    "per_example_gradients",
    "per_example_sq_norms",
]
