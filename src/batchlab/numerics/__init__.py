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
from batchlab.numerics.crossings import (
    Crossing,
    crossing_scatter,
    first_crossing,
    in_steps,
    smooth_curve,
    steps_to_fit,
)
from batchlab.numerics.dunnett import dunnett_point, dunnett_probability
from batchlab.numerics.fieller import (
    fieller_limits,
)
from batchlab.numerics.gradient_moments import (
    add_noise_moments,
    noise_moments,
    noise_moments_two_sizes,
)
from batchlab.numerics.gradient_norms import (
    GradientNormLaw,
    effective_rank,
    fit_gradient_norm_law,
    norm_moments,
    norm_regime,
    norm_slope,
    sq_norm_variance,
)
from batchlab.numerics.interference import (
    Interference,
    diversity_batch_size,
    gradient_diversity,
    gradient_snr,
    pairwise_interference,
)
from batchlab.numerics.intervals import Interval, t_interval
from batchlab.numerics.jackknife import (
    jackknife_interval,
)
from batchlab.numerics.lr_response import (
    LocalResponse,
    LrResponse,
    fit_lr_response,
    response_at,
    smooth_optima,
    tuning_variance,
)
from batchlab.numerics.moments import (
    Moments,
    add_value,
    mean_interval,
    merge_moments,
    moments_of,
)
from batchlab.numerics.noise_average import (
    NoiseAverage,
    update_noise_average,
)
from batchlab.numerics.noise_planning import (
    blocks_needed,
    examples_needed,
    noise_scale_error,
)
from batchlab.numerics.noise_scale import (
    NoiseScale,
    estimate_noise_scale,
    is_settled,
    jackknife_noise_scale,
)
from batchlab.numerics.rules import scale_hyperparameters, scale_learning_rate
from batchlab.numerics.sample_size import (
    seeds_for_difference,
    seeds_for_equivalence,
    seeds_for_paired_difference,
    seeds_to_settle_pair,
)
from batchlab.numerics.step_time import StepTimeModel, expected_seconds, fit_step_time, step_time_draws
from batchlab.numerics.time_to_target import (
    FastestBatchSize,
    StepTime,
    best_accumulation_steps,
    best_time_batch_size,
    fastest_batch_size,
    relative_time,
)
from batchlab.numerics.tradeoff import (
    Region,
    TradeOff,
    fit_tradeoff,
    scaling_regions,
)
from batchlab.numerics.two_way import TwoWay, fit_two_way

__all__ = [
    "Comparison",
    "Crossing",
    "FastestBatchSize",
    "GradientNormLaw",
    "Interference",
    "Interval",
    "LocalResponse",
    "LrResponse",
    "Moments",
    "NoiseAverage",
    "NoiseScale",
    "Region",
    "StepTime",
    "StepTimeModel",
    "TradeOff",
    "TwoWay",
    "add_noise_moments",
    "add_value",
    "best_accumulation_steps",
    "best_time_batch_size",
    "blocks_needed",
    "compare_to_best",
    "crossing_scatter",
    "diversity_batch_size",
    "dunnett_point",
    "dunnett_probability",
    "effective_rank",
    "equal_means_p_value",
    "estimate_noise_scale",
    "examples_needed",
    "expected_best_of",
    "expected_seconds",
    "fastest_batch_size",
    "fieller_limits",
    "first_crossing",
    "fit_gradient_norm_law",
    "fit_lr_response",
    "fit_step_time",
    "fit_tradeoff",
    "fit_two_way",
    "gradient_diversity",
    "gradient_snr",
    "holm",
    "in_steps",
    "indifference_set",
    "is_settled",
    "jackknife_interval",
    "jackknife_noise_scale",
    "mean_interval",
    "merge_moments",
    "moments_of",
    "noise_moments",
    "noise_moments_two_sizes",
    "noise_scale_error",
    "norm_moments",
    "norm_regime",
    "norm_slope",
    "outcome_of",
    "pairwise_interference",
    "relative_time",
    "response_at",
    "scale_hyperparameters",
    "scale_learning_rate",
    "scaling_regions",
    "seeds_for_difference",
    "seeds_for_equivalence",
    "seeds_for_paired_difference",
    "seeds_to_settle",
    "seeds_to_settle_pair",
    "smooth_curve",
    "smooth_optima",
    "sq_norm_variance",
    "step_time_draws",
    "steps_to_fit",
    "t_interval",
    "tuning_variance",
    "update_noise_average",
]
