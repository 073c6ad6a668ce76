"""What each figure shows, as plain numbers: one function a figure, nothing of any drawing library.

Every figure carries its title (what was found) and its caption (n, kind of interval, units, what was left out).
Metrics are in the unit they are shown in: per cent for error and accuracy, otherwise the metric's own.
"""

from batchlab.views.figure_data.best_of import expected_best
from batchlab.views.figure_data.budgets import BudgetComparison, BudgetRow, budget_comparison
from batchlab.views.figure_data.comparison import MetricByBatchSize, MetricPoint, metric_by_batch_size
from batchlab.views.figure_data.learning_rates import (
    LearningRateCell,
    LearningRateMap,
    LearningRateOptimum,
    learning_rate_map,
)
from batchlab.views.figure_data.scouting import ScoutingMap, ScoutingMark, scouting_map
from batchlab.views.figure_data.target import (
    CostPoint,
    RunMark,
    StepsPoint,
    StepsToTarget,
    TimeAndExamples,
    steps_to_target,
    time_and_examples,
)
from batchlab.views.figure_data.training import CurveLine, Curves, curves

__all__ = [
    "BudgetComparison",
    "BudgetRow",
    "CostPoint",
    "CurveLine",
    "Curves",
    "LearningRateCell",
    "LearningRateMap",
    "LearningRateOptimum",
    "MetricByBatchSize",
    "MetricPoint",
    "RunMark",
    "ScoutingMap",
    "ScoutingMark",
    "StepsPoint",
    "StepsToTarget",
    "TimeAndExamples",
    "budget_comparison",
    "curves",
    "expected_best",
    "learning_rate_map",
    "metric_by_batch_size",
    "scouting_map",
    "steps_to_target",
    "time_and_examples",
]
