import measurement_cases as cases
from batchlab.views.figure_data.measurements import interference_by_pairs, noise_along_training, norms_by_batch_size
from batchlab.views.figures.measurements import (
    draw_interference_by_pairs,
    draw_noise_along_training,
    draw_norms_by_batch_size,
)


def test_the_noise_scale_is_drawn_with_intervals_that_have_no_end():
    findings = cases.findings(cases.checkpoint(10), cases.checkpoint(500, cases.WEAK))
    figure = draw_noise_along_training(noise_along_training(findings))
    top = 10 ** figure.layout.yaxis.range[1]
    ends = figure.data[0].y
    assert ends[1] < top < ends[4] and ends[2] is None
    assert figure.data[2].name == "batch size trained with, 32"


def test_norms_are_drawn_with_their_law():
    figure = draw_norms_by_batch_size(norms_by_batch_size(cases.findings()))
    names = [trace.name for trace in figure.data if trace.name is not None]
    assert names == ["step 10", "step 10, law", "step 500", "step 500, law"]
    assert list(figure.data[0].x) == [0, 2, 4]


def test_pairs_are_drawn_side_by_side_with_zero_in_sight():
    figure = draw_interference_by_pairs(interference_by_pairs(cases.findings()))
    assert [trace.name for trace in figure.data if trace.name is not None] == ["step 10", "step 500"]
    assert list(figure.layout.xaxis.ticktext) == ["all pairs", "same class", "different classes"]
    assert figure.data[0].x[0] < 0 < figure.data[2].x[0]
    assert figure.layout.yaxis.range[0] < 0
