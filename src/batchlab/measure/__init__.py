"""Measurements of a model at fixed parameters: its gradients, their noise and how they interfere.

All take the model, a function `mean_loss(model, batch)` and batches, and leave the model as they found it.
"""
