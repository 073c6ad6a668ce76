"""A process that has loaded torch, forked wherever a test would start Python anew: torch takes longer than the test.

What is forked runs the module that was asked for, in a process group of its own, with the environment, folder, pipe and
output that it would have been started with. Run as `python nursery.py FD`, FD its end of a socket pair.
"""

import os
import runpy
import socket
import subprocess
import sys
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.reduction import recv_handle, send_handle

from batchlab.studies.output import Relay, Tail, pipe
from batchlab.studies.processes import Worker, _Forked


@dataclass
class Nursery:
    """The process, once there is one, and our end of its pipe."""

    process: subprocess.Popen[bytes] | None = None
    worker: Worker | None = None

    def start(self, module: str, relay: Relay) -> Worker:
        """Start a module as `studies.processes` does."""
        if self.worker is None:
            self._begin(relay)
        assert self.worker is not None and self.process is not None
        ours, theirs = socket.socketpair()
        with pipe() as (reading, writing):
            self.worker.pipe.send(("start", module, {"OPENBLAS_NUM_THREADS": "1", **os.environ}, os.getcwd()))
            for descriptor in (theirs.fileno(), writing):
                send_handle(self.worker.pipe, descriptor, self.process.pid)
            pid = self.worker.pipe.recv()
        theirs.close()
        return Worker(_Forked(pid, self.worker), Connection(ours.detach()), Tail(reading, relay))

    def end(self) -> None:
        """End the process; what it has forked goes with it."""
        if self.worker is not None and self.process is not None:
            self.worker.pipe.close()
            self.process.wait()

    def _begin(self, relay: Relay) -> None:
        ours, theirs = socket.socketpair()
        self.process = subprocess.Popen(
            [sys.executable, "-u", __file__, str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
        )
        theirs.close()
        with pipe() as (reading, _):
            self.worker = Worker(self.process, Connection(ours.detach()), Tail(reading, relay))


def main() -> None:
    """Fork until the test process closes the pipe."""
    import torch

    torch.set_num_threads(1)
    torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
    asked = Connection(int(sys.argv[1]))
    while True:
        try:
            kind, *content = asked.recv()
        except EOFError:
            return
        if kind == "wait":
            asked.send(os.waitstatus_to_exitcode(os.waitpid(content[0], 0)[1]))
            continue
        handles = recv_handle(asked), recv_handle(asked)
        if (pid := os.fork()) == 0:
            asked.close()
            _become(*content, *handles)
            return
        for handle in handles:
            os.close(handle)
        asked.send(pid)


def _become(module: str, environment: dict[str, str], folder: str, end_of_pipe: int, output: int) -> None:
    """Run a module as `python -m` does."""
    os.setpgid(0, 0)
    for descriptor in (1, 2):
        os.dup2(output, descriptor)
    os.close(output)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.argv, sys.path[0] = [module, str(end_of_pipe)], folder
    del sys.modules["__main__"]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
