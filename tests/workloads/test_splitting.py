import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from batchlab.workloads.splitting import take_stratified


@settings(deadline=None)
@given(st.lists(st.integers(0, 4), min_size=1, max_size=60), st.data())
def test_parts_are_disjoint_complete_and_proportional(classes, data):
    labels = np.array(classes)
    n_taken = data.draw(st.integers(1, len(labels)))
    taken, rest = take_stratified(labels, n_taken, np.random.default_rng(0))
    assert len(taken) == n_taken
    assert sorted([*taken, *rest]) == list(range(len(labels)))
    for label in set(classes):
        due = classes.count(label) * n_taken / len(classes)
        assert abs((labels[taken] == label).sum() - due) <= 1


def test_each_example_of_a_class_is_as_likely_as_any_other():
    # 2,000 draws of 12 from 30, ten examples a class: a chi-square statistic with 9 degrees of freedom a class, and
    # 33.7 is its 1e-4 point. Draws without replacement spread less than independent ones, so alarms are rarer still.
    labels = np.arange(30) % 3
    counts = np.zeros(30)
    for seed in range(2000):
        counts[take_stratified(labels, 12, np.random.default_rng(seed))[0]] += 1
    for label in range(3):
        seen = counts[labels == label]
        assert ((seen - seen.mean()) ** 2 / seen.mean()).sum() < 33.7


def test_the_split_follows_from_the_generator():
    labels = np.arange(50) % 5
    first, again, other = (take_stratified(labels, 10, np.random.default_rng(seed))[0] for seed in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
