"""What to expect where nothing can be measured: models of training whose answers are exact."""

from batchlab.simulate.noisy_quadratic import NoisyQuadratic, TunedSteps, harmonic_quadratic

__all__ = ["NoisyQuadratic", "TunedSteps", "harmonic_quadratic"]
