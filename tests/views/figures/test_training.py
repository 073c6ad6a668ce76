from hypothesis import given
from hypothesis import strategies as st

from batchlab.views.figures.training import LABEL_WIDTH, _label_heights

ENDS = st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=16)
GAP = 0.05


@given(ENDS)
def test_no_two_labels_overlap(ends):
    heights = _label_heights(ends, [0.0, 1.0], GAP)
    for i, (x, _) in enumerate(ends):
        for j in range(i):
            beside = abs(x - ends[j][0]) < LABEL_WIDTH
            assert not beside or abs(heights[i] - heights[j]) >= GAP * 0.999


@given(ENDS)
def test_no_label_rises_above_the_upper_limit(ends):
    assert max(_label_heights(ends, [0.0, 1.0], GAP)) <= 1.0


def test_labels_that_do_not_collide_stay_at_their_curves():
    ends = [(1.0, 0.2), (1.0, 0.5), (1.0, 0.9)]
    assert _label_heights(ends, [0.0, 1.0], GAP) == [0.2, 0.5, 0.9]


def test_labels_keep_the_order_of_their_curves():
    ends = [(1.0, 0.50), (1.0, 0.52), (1.0, 0.51)]
    heights = _label_heights(ends, [0.0, 1.0], GAP)
    assert heights[0] < heights[2] < heights[1]
