import pytest

from regret import MOVED, OWN, batch_sizes, settings_of_rules
from target_cases import TargetCase
from target_table import ExhaustiveTable, StepSeconds

CASE = TargetCase("tiny", 0.1, 1000, 2, 0.1, (8, 32, 128))
# Throughput rises to batch size 64.
TIMES = StepSeconds(
    {size: 1 + size / 64 if size <= 64 else size / 16 for size in (1, 2, 4, 8, 16, 32, 64, 128)}, 1, False
)
TABLE = ExhaustiveTable(CASE, {}, TIMES)


def test_every_rule_gives_its_batch_size() -> None:
    assert batch_sizes(TABLE, 41.7) == {"largest": 1000, "fastest": 64, "noise scale": 42, "32": 32}


@pytest.mark.parametrize(("noise", "size"), [(0.2, 1), (5000.0, 1000), (None, None)])
def test_a_noise_scale_becomes_a_batch_size_the_data_allow(noise: float | None, size: int | None) -> None:
    assert batch_sizes(TABLE, noise)["noise scale"] == size


def test_a_moved_rate_is_in_proportion_to_the_batch_size() -> None:
    settings = settings_of_rules(CASE, {"fastest": 64, "noise scale": None})
    assert settings["fastest", OWN] == (64, 0.1)
    assert settings["fastest", MOVED] == (64, 0.2)
    assert settings["noise scale", OWN] is None
