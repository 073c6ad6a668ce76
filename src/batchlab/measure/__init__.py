"""Measurements of a model: its gradients, their noise and how they interfere; memory, speed and energy of its steps.

Those of gradients take the model, a function `mean_loss(model, batch)` and batches, at fixed parameters; those of steps
take a function that makes them. All leave the model as they found it.
"""
