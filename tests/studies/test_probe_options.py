import pytest

from batchlab.errors import UsageError
from batchlab.records import Current
from batchlab.studies.probe_options import ProbeOptions, checked_current, sizes_to_consider


def test_accuracy_needs_a_study_and_is_told_which():
    with pytest.raises(UsageError) as raised:
        checked_current(ProbeOptions(objective="accuracy"), 1000)
    assert str(raised.value) == (
        "Which batch size is most accurate takes trained models to tell, got objective accuracy; run a study: "
        "`batchlab study WORKLOAD`."
    )


def test_today_setting_is_read_and_must_fit_the_data():
    assert checked_current(ProbeOptions(current="64@1e-3"), 1000) == Current(64, 1e-3)
    with pytest.raises(UsageError) as raised:
        checked_current(ProbeOptions(current="64@1e-3"), 50)
    assert str(raised.value) == ("A batch holds at most the 50 training examples, got 64 in `current`; correct it.")


def test_a_short_training_leaves_out_batches_that_make_few_updates():
    assert max(sizes_to_consider(100_000, 3 * 1000)) == 128
