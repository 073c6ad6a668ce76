"""A disk that runs full in the middle of a study, on a file system of our own."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from batchlab.errors import StoreError
from batchlab.records import StudyRecord
from batchlab.studies.memory_store import MemoryStore
from batchlab.studies.progress import Quiet
from batchlab.studies.run import run_study
from batchlab.studies.store import Store
from batchlab.studies.store_opening import open_store
from batchlab.studies.trials import trial_id
from simulated import INFO, InstantExecutor, World, spec

WORLD = World({8: 0.03, 16: 0.02, 32: 0.02, 64: 0.025, 128: 0.05})


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Return a folder on a file system with room for some trials and not for a study."""
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", os.fspath(tmp_path)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"a file system cannot be mounted here ({done.stderr.strip()})")
    yield tmp_path
    subprocess.run(["umount", os.fspath(tmp_path)], check=True)


def run(store: Store) -> StudyRecord:
    """Run the simulated study."""
    return run_study(spec(), INFO, name="s", store=store, executor=InstantExecutor(WORLD.result), progress=Quiet())


def test_a_study_goes_on_when_the_full_disk_has_room_again(small_disk: Path) -> None:
    path = small_disk / "s.db"
    with closing(open_store(path)) as store, pytest.raises(StoreError) as caught:
        run(store)
    assert "its disk is full; nothing is lost so far" in str(caught.value)
    subprocess.run(["mount", "-o", "remount,size=16m", os.fspath(small_disk)], check=True)
    with closing(open_store(path, create=False)) as store:
        kept = len(store.study(store.find("s")).trials)
        record = run(store)
    calm = run(MemoryStore())
    assert 0 < kept < len(calm.trials)
    assert {(trial_id(one.settings), one.valid_metric) for one in record.trials} == {
        (trial_id(one.settings), one.valid_metric) for one in calm.trials
    }
