"""What tests of several parts share."""

import os
import sys
from collections.abc import Iterator

import pytest
import torch

from batchlab.studies import processes
from batchlab.studies.local_executor import LocalExecutor
from nursery import Nursery

# Models of tests are tiny, and tests run side by side: threads that wait for one another slow them tenfold.
torch.set_num_threads(1)
# The same for processes that tests start and that time steps with several threads.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


@pytest.fixture
def untimed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the quiet pass out of studies whose step times no test looks at: it takes longer than their trials."""
    monkeypatch.setattr(LocalExecutor, "time_steps", lambda self, settings, on_wait: ())


@pytest.fixture(scope="session", autouse=True)
def nursery() -> Iterator[None]:
    """Fork the processes that studies start from one that has loaded torch; those of the command are started."""
    found = Nursery()
    with pytest.MonkeyPatch.context() as patch:
        if sys.platform == "linux":
            patch.setattr(processes, "_start", found.start)
        yield
    found.end()
