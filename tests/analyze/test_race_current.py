import pytest

from batchlab.analyze.findings import CurrentRow
from batchlab.analyze.study import analyze_study
from batchlab.records import Current
from race_cases import finished, soft

WORLD = soft()


def row(current: Current) -> CurrentRow:
    found = analyze_study(finished(WORLD, current=current)).current
    assert found is not None
    return found


def test_todays_setting_is_told_how_much_longer_it_takes() -> None:
    found = row(Current(512, 0.4))
    true = WORLD.seconds_to_target(512, 0.4) / min(
        WORLD.seconds_to_target(size, WORLD.best_rate(size)) for size in (64, 128)
    )
    assert found.time_ratio == pytest.approx(true, rel=0.12)
    assert found.flags == ("worse",)
    assert found.sentence.startswith(
        f"Today's 512 at lr 0.4 takes {found.time_ratio:.2f} times as long to loss 0.0644394"
    )


def test_todays_trials_end_at_the_target() -> None:
    trials = [one for one in finished(WORLD, current=Current(96, 0.17)).trials if one.settings.batch_size == 96]
    assert [one.settings.purpose for one in trials] == ["confirm"] * 5
    assert {one.status for one in trials} == {"stopped"}


def test_a_setting_that_diverged_is_said_to_have() -> None:
    found = row(Current(32, 10.0))
    assert found.sentence == "Today's 32 at lr 10 diverged in 5 of 5 seeds."
    assert found.time_ratio is None and found.flags == ("diverged",)
