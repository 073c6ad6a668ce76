"""What tests of several parts share."""

import pytest

from batchlab.studies.local_executor import LocalExecutor


@pytest.fixture
def untimed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the quiet pass out of studies whose step times no test looks at: it takes longer than their trials."""
    monkeypatch.setattr(LocalExecutor, "time_steps", lambda self, settings, on_wait: ())
