"""How each figure looks: one function a drawing, from figure data to a Plotly figure.

Batch sizes are drawn at their base-2 logarithm and labeled with themselves. Nothing is told by color alone.
"""

from batchlab.views.figures.budgets import draw_budget_comparison
from batchlab.views.figures.comparison import draw_metric_by_batch_size
from batchlab.views.figures.learning_rates import draw_learning_rate_map
from batchlab.views.figures.scouting import draw_scouting_map
from batchlab.views.figures.target import draw_steps_to_target, draw_time_and_examples
from batchlab.views.figures.training import draw_curves

__all__ = [
    "draw_budget_comparison",
    "draw_curves",
    "draw_learning_rate_map",
    "draw_metric_by_batch_size",
    "draw_scouting_map",
    "draw_steps_to_target",
    "draw_time_and_examples",
]
