"""Trials: what one training run is, in one loop that can be read top to bottom."""
