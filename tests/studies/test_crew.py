from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from batchlab.studies import crew as module
from batchlab.studies.crew import Crew
from batchlab.studies.executors import WorkloadSource
from batchlab.studies.output import Relay

SOURCE = WorkloadSource("digits-mlp")


@dataclass
class FakePipe:
    """Keeps what is sent; answers with what `reply` says of the last message."""

    reply: Callable[[Any], Any]
    sent: list[Any] = field(default_factory=list)

    def send(self, message: Any) -> None:
        self.sent.append(message)

    def poll(self, seconds: float) -> bool:
        return True

    def recv(self) -> Any:
        return self.reply(self.sent[-1])


@dataclass(eq=False)
class FakeWorker:
    """A worker without a process."""

    pipe: FakePipe
    device: str = "cpu"
    ended: bool = False


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[FakeWorker]:
    """Start fakes in place of processes, and return those started so far."""
    workers: list[FakeWorker] = []

    def start(relay: Relay) -> FakeWorker:
        workers.append(FakeWorker(FakePipe(lambda message: ("answer", "", (len(workers), *message)))))
        return workers[-1]

    monkeypatch.setattr(module, "start_worker", start)
    monkeypatch.setattr(module, "end", lambda worker: setattr(worker, "ended", True))
    return workers


def test_gpus_are_dealt_out_in_turn_and_no_process_is_forked(started: list[FakeWorker]) -> None:
    crew = Crew(SOURCE, 3, ("cuda:0", "cuda:2"), Relay(print))
    assert [worker.device for worker in crew.workers] == ["cuda:0", "cuda:2", "cuda:0"]
    assert [worker.pipe.sent for worker in started] == [
        [("load", "", SOURCE), ("use", "", device)] for device in ("cuda:0", "cuda:2", "cuda:0")
    ]


def test_a_crew_grows_and_shrinks(started: list[FakeWorker]) -> None:
    crew = Crew(SOURCE, 1, ("cuda:0", "cuda:1"), Relay(print))
    crew.resize(4)
    assert [worker.device for worker in crew.workers] == ["cuda:0", "cuda:1", "cuda:0", "cuda:1"]
    crew.resize(2)
    assert [worker.ended for worker in started] == [False, False, True, True]


def test_who_takes_a_place_gets_its_gpu(started: list[FakeWorker]) -> None:
    crew = Crew(SOURCE, 2, ("cuda:0", "cuda:1"), Relay(print))
    crew.replace(crew.workers[0])
    assert [worker.device for worker in crew.workers] == ["cuda:0", "cuda:1"]
    assert started[0].ended
    assert crew.workers[0] is started[2]


def test_all_that_are_asked_are_at_work_before_the_first_answer_is_read(started: list[FakeWorker]) -> None:
    crew = Crew(SOURCE, 2, ("cuda:0", "cuda:1"), Relay(print))
    seen = []
    for worker in crew.workers:
        worker.pipe.reply = lambda message: ("pace", "", seen.append([w.pipe.sent[-1] for w in started]))
    crew.ask(crew.workers, ("pace", "", 0), "try", lambda: None)
    assert seen[0] == [("pace", "", 0)] * 2
