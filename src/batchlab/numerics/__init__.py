"""Numbers in, numbers out: intervals, comparisons, learning-rate response and rules; numpy and scipy only."""

from batchlab.numerics.comparisons import (
    Comparison,
    compare_to_best,
    equal_means_p_value,
    expected_best_of,
    holm,
    indifference_set,
    outcome_of,
    seeds_to_settle,
)
from batchlab.numerics.dunnett import dunnett_point, dunnett_probability
from batchlab.numerics.intervals import Interval, t_interval
from batchlab.numerics.lr_response import (
    LocalResponse,
    LrResponse,
    fit_lr_response,
    response_at,
    smooth_optima,
    tuning_variance,
)
from batchlab.numerics.rules import scale_hyperparameters, scale_learning_rate
from batchlab.numerics.sample_size import (
    seeds_for_difference,
    seeds_for_equivalence,
    seeds_for_paired_difference,
    seeds_to_settle_pair,
)
from batchlab.numerics.two_way import TwoWay, fit_two_way

__all__ = [
    "Comparison",
    "Interval",
    "LocalResponse",
    "LrResponse",
    "TwoWay",
    "compare_to_best",
    "dunnett_point",
    "dunnett_probability",
    "equal_means_p_value",
    "expected_best_of",
    "fit_lr_response",
    "fit_two_way",
    "holm",
    "indifference_set",
    "outcome_of",
    "response_at",
    "scale_hyperparameters",
    "scale_learning_rate",
    "seeds_for_difference",
    "seeds_for_equivalence",
    "seeds_for_paired_difference",
    "seeds_to_settle",
    "seeds_to_settle_pair",
    "smooth_optima",
    "t_interval",
    "tuning_variance",
]
