from batchlab.records import TrialResult
from batchlab.studies.plan import trial_settings
from batchlab.views.trial_table import trial_rows
from simulated import INFO, World, spec


def result(purpose: str) -> TrialResult:
    """Return one simulated result."""
    return World({8: 0.02}).result(trial_settings(spec(), INFO, 8, 0.1, 0, purpose))


def test_every_row_has_the_same_columns_and_what_its_trial_found() -> None:
    rows = trial_rows([result("tune"), result("confirm")])
    assert rows[0].keys() == rows[1].keys()
    assert [row["purpose"] for row in rows] == ["tune", "confirm"]
    assert rows[1]["test_metric"] == result("confirm").test_metric
