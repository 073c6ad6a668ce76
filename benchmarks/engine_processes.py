"""Warm processes for the contestants of `engine.py`: everything is imported and tried before a clock starts."""

import contextlib
import multiprocessing
import os
import statistics
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from multiprocessing.connection import Connection
from typing import Any

import engine_frameworks
import engine_loops
from engine_cases import Case, Data, data_of
from engine_loops import Run

JOB_LIMIT_S = 300.0


@dataclass(frozen=True, slots=True)
class Contestant:
    """A rival in the tables: its title, what makes its run, and the package whose version counts."""

    name: str
    title: str
    make: Callable[[], Run]
    package: str = "torch"


CONTESTANTS = (
    Contestant("trial", "batchlab, the trial alone", engine_loops.trial, "batchlab"),
    Contestant("bare", "bare PyTorch loop", engine_loops.bare),
    Contestant("data-loader", "PyTorch with DataLoader", engine_loops.data_loader),
    Contestant("optuna", "Optuna, a DataLoader loop a trial", engine_loops.optuna, "optuna"),
    Contestant("lightning", "Lightning Trainer", engine_frameworks.lightning, "lightning"),
    Contestant("keras", "Keras fit, torch backend", engine_frameworks.keras, "keras"),
    Contestant("hugging-face", "Hugging Face Trainer", engine_frameworks.hugging_face, "transformers"),
)


def installed(contestant: Contestant) -> str | None:
    """Return the version of the contestant's package, None where it is not installed."""
    try:
        return version(contestant.package)
    except PackageNotFoundError:
        return None


class Team:
    """As many processes of one contestant as there are cores; a context manager ends them."""

    def __init__(self, contestant: Contestant, count: int) -> None:
        """Start the processes, which import while the caller goes on."""
        context = multiprocessing.get_context("spawn")
        self._pipes: list[Connection] = []
        self._processes = []
        for _ in range(count):
            ours, theirs = context.Pipe()
            self._processes.append(context.Process(target=_serve, args=(contestant, theirs), daemon=True))
            self._processes[-1].start()
            theirs.close()
            self._pipes.append(ours)

    def load(self, case: Case, data: Data) -> None:
        """Give every process its case and a copy of the data, and have it make one step an epoch to warm up."""
        for pipe in self._pipes:
            pipe.send(("load", case, _plain(data)))
        _answers(self._pipes)

    def run(self, seed: int, *, alone: bool) -> tuple[float, float]:
        """Return wall-clock time and mean loss of one run in the first process with all threads, or of one in each."""
        pipes = self._pipes[:1] if alone else self._pipes
        started = time.perf_counter()
        for index, pipe in enumerate(pipes):
            pipe.send(("run", seed + index, None if alone else 1))
        losses = _answers(pipes)
        return time.perf_counter() - started, statistics.fmean(losses)

    def close(self) -> None:
        """End the processes."""
        for pipe, process in zip(self._pipes, self._processes, strict=True):
            pipe.close()
            process.join()


@contextmanager
def teams(contestants: Sequence[Contestant], count: int) -> Iterator[dict[str, Team]]:
    """Open a team for each contestant, by name."""
    with ExitStack() as stack:
        opened = {one.name: Team(one, count) for one in contestants}
        for team in opened.values():
            stack.enter_context(contextlib.closing(team))
        yield opened


def _plain(data: Data) -> Any:
    return [[part.numpy() for part in pair] for pair in (data.train, data.valid)]


def _answers(pipes: Sequence[Connection]) -> list[float]:
    losses = []
    for pipe in pipes:
        if not pipe.poll(JOB_LIMIT_S):
            raise SystemExit(f"A contestant should answer within {JOB_LIMIT_S:.0f} s and did not; leave it out.")
        answer = pipe.recv()
        if isinstance(answer, str):
            raise SystemExit(answer)
        losses.append(answer)
    return losses


def _serve(contestant: Contestant, pipe: Connection) -> None:
    """Run what is asked for until the pipe is closed; what the libraries print goes nowhere."""
    import torch

    _silence()
    all_threads = torch.get_num_threads()
    run: Run | None = None
    with contextlib.suppress(EOFError, BrokenPipeError):
        while True:
            kind, first, second = pipe.recv()
            try:
                if kind == "load":
                    case, data = first, Data(*(tuple(map(torch.from_numpy, pair)) for pair in second))
                    run = run or contestant.make()
                    torch.set_num_threads(1)
                    small = replace(case, steps=1)
                    loss = run(small, data_of(small, data.train), 0)
                else:
                    assert run is not None
                    torch.set_num_threads(second or all_threads)
                    loss = run(case, data, first)
            except Exception:
                pipe.send(f"{contestant.title} failed:\n{traceback.format_exc()}")
            else:
                pipe.send(loss)


def _silence() -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
