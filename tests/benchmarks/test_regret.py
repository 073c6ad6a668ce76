import pytest

from regret import ADVISED, OWN, Advice, batch_sizes, rules_of_thumb
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


def test_rules_take_their_own_rate_or_the_probes() -> None:
    advice = Advice((32, 0.3), {8: 0.1, 32: 0.4}, None, 100.0)
    cells = {(row.rule, row.rate): row.cell for row in rules_of_thumb(TABLE, "time", advice)}
    assert cells["32", OWN] == (32, 0.1)
    assert cells["32", ADVISED] == (32, 0.4)
    assert cells["noise scale", OWN] is None


def test_the_probes_rate_between_its_sizes_is_interpolated_and_beyond_them_held() -> None:
    advice = Advice((32, 0.3), {8: 0.1, 32: 0.4}, None, 100.0)
    assert [advice.rate_at(size) for size in (4, 8, 16, 32, 64)] == [0.1, 0.1, 0.2, 0.4, 0.4]
