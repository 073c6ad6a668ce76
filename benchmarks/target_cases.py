"""The workloads of the exhaustive tables: their target, budget and box of batch sizes and learning rates.

A target is what every one of five runs at batch size 32 and the workload's own learning rate has come to after a third
of the budget: the worst of their validation metrics there, to two digits (`exhaustive_table.py NAME --pilot`). It was
fixed before any search was run against a table. The mean in place of the worst, tried first, gave the digits'
perceptron .038: one split of three never gets there, whatever the setting. The budget is the workload's default number
of epochs; of MNIST two of five, to keep its table affordable.
"""

from dataclasses import dataclass
from typing import ClassVar

OCTAVES = tuple(range(-5, 6))


@dataclass(frozen=True, slots=True)
class TargetCase:
    """One workload to be brought to one validation metric, within a budget that is the same for every setting.

    The box has, at each batch size, the learning rates that lie whole octaves from a center moved with the square root
    of the batch size from the workload's own learning rate at batch size 32.
    """

    workload: str
    target: float
    n_train: int
    epochs: float
    base_learning_rate: float
    batch_sizes: tuple[int, ...]
    octaves: tuple[int, ...] = OCTAVES
    base_batch_size: ClassVar[int] = 32

    @property
    def examples(self) -> int:
        """Return the budget of one run."""
        return round(self.epochs * self.n_train)

    def learning_rate(self, batch_size: float, octave: float) -> float:
        """Return the learning rate so many octaves from the center of its batch size, to four digits.

        >>> CASES["digits-mlp"].learning_rate(128, 1)
        0.2
        """
        center = self.base_learning_rate * (batch_size / self.base_batch_size) ** 0.5
        return float(f"{center * 2.0**octave:.4g}")

    def cells(self) -> list[tuple[int, float]]:
        """Return all batch sizes and learning rates of the box."""
        return [(size, self.learning_rate(size, octave)) for size in self.batch_sizes for octave in self.octaves]


def powers_of_two(low: int, high: int) -> tuple[int, ...]:
    """Return the powers of two from `low` to `high`.

    >>> powers_of_two(4, 32)
    (4, 8, 16, 32)
    """
    return tuple(2**power for power in range(low.bit_length() - 1, high.bit_length()))


CASES = {
    case.workload: case
    for case in (
        TargetCase("digits-mlp", 0.056, 1079, 20, 0.05, powers_of_two(4, 1024)),
        TargetCase("digits-cnn", 0.084, 1079, 10, 0.02, powers_of_two(4, 512)),
        TargetCase("mnist-mlp", 0.05, 50_000, 2, 0.01, powers_of_two(16, 2048)),
        TargetCase("quadratic", 0.19, 1024, 8, 0.5, powers_of_two(2, 512)),
    )
}
