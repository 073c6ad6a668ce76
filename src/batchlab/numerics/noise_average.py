"""A running noise scale during training: an average of its two parts that fades with the examples seen."""

import dataclasses
import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class NoiseAverage:
    """Fading averages of trace and signal; plain numbers, so that `dataclasses.asdict` saves it and `**` restores it.

    An update of n examples keeps the share d = exp(-n/window_examples) of what was there and adds 1 - d of the new: the
    memory is in examples, whatever the batch size does. `trace_sum` and `signal_sum` started at 0 and are too small by
    the factor `weight` = 1 - Π d, which the properties divide out. The product runs over the *updates* of the average;
    a power of any other counter, such as micro-steps, would leave both parts wrong and only their ratio right.
    """

    window_examples: float
    trace_sum: float = 0.0
    signal_sum: float = 0.0
    weight: float = 0.0
    squared_weight: float = 0.0
    n_updates: int = 0
    n_examples: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.window_examples < math.inf:
            raise ValueError(
                f"`window_examples` must be finite and above 0, got {self.window_examples:g}; "
                "use the examples of some hundred steps."
            )

    @property
    def trace(self) -> float:
        """The average trace; NaN before the first update."""
        return self.trace_sum / self.weight if self.weight > 0 else math.nan

    @property
    def signal(self) -> float:
        """The average signal; NaN before the first update."""
        return self.signal_sum / self.weight if self.weight > 0 else math.nan

    @property
    def noise_scale(self) -> float | None:
        """The ratio of the two averages; None where the signal is not above 0 or the trace below."""
        return self.trace / self.signal if self.signal > 0 and self.trace >= 0 else None

    @property
    def effective_updates(self) -> float:
        """(Σ w)²/Σ w², the number of equally weighted updates as precise as this; (1 + d)/(1 - d) after many."""
        return self.weight**2 / self.squared_weight if self.squared_weight > 0 else 0.0


def update_noise_average(average: NoiseAverage, trace: float, signal: float, n_examples: int) -> NoiseAverage:
    """Return the average after one more step; trace and signal as they are, of whatever sign.

    Args:
        average: the average so far, at first `NoiseAverage(window_examples=...)`.
        trace, signal: unbiased moments of the step, from `noise_moments`.
        n_examples: examples of the step.

    >>> average = NoiseAverage(window_examples=1000)
    >>> for signal in (2.0, -1.0, 2.0):
    ...     average = update_noise_average(average, 40.0, signal, 64)
    >>> f"{average.trace:.1f} {average.signal:.2f} {average.noise_scale:.0f}"
    '40.0 1.00 40'
    """
    if not (math.isfinite(trace) and math.isfinite(signal) and n_examples > 0):
        raise ValueError(
            "A step must have finite moments and one or more examples, got "
            f"trace {trace}, signal {signal} and {n_examples} examples; skip steps whose gradient is not finite."
        )
    fresh = -math.expm1(-n_examples / average.window_examples)
    kept = 1 - fresh
    return dataclasses.replace(
        average,
        trace_sum=kept * average.trace_sum + fresh * trace,
        signal_sum=kept * average.signal_sum + fresh * signal,
        weight=kept * average.weight + fresh,
        squared_weight=kept**2 * average.squared_weight + fresh**2,
        n_updates=average.n_updates + 1,
        n_examples=average.n_examples + n_examples,
    )
