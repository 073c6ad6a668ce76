"""A PostgreSQL server of one's own, in a folder that goes away with it: for tests, and for faults made on purpose."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

USER = "batchlab"
START_S = 30.0
# What a crash of the machine may cost does not matter here.
OPTIONS = ("listen_addresses=", "fsync=off", "full_page_writes=off", "max_connections=50")


def server_programs() -> Path | None:
    """Return the folder with `initdb` and `postgres`, the newest version's, None where there is none."""
    found = shutil.which("postgres")
    folders = [Path(found).resolve().parent] if found else []
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda one: _number(one.parent.name))
    return next((folder for folder in reversed(folders) if (folder / "initdb").exists()), None)


@dataclass
class PostgresServer:
    """A server that listens on a socket in `folder` and nowhere else."""

    folder: Path
    programs: Path
    process: "subprocess.Popen[bytes] | None" = None
    prefix: tuple[str, ...] = ()
    # A process that ends with its parent ends with the thread that started it.
    starter: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1))

    def start(self) -> None:
        """Start the server, and wait until it answers."""
        command = [self.programs / "postgres", "-D", self.folder / "data", "-k", self.folder]
        command += [part for option in OPTIONS for part in ("-c", option)]
        with open(self.folder / "log", "ab") as log:
            popen = self.starter.submit(
                subprocess.Popen, [*self.prefix, *command], stdout=log, stderr=log, cwd=self.folder
            )
            self.process = popen.result()
        until = time.monotonic() + START_S
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"PostgreSQL did not start:\n{(self.folder / 'log').read_text()}")
            time.sleep(0.02)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop the server; SIGINT breaks off connections, SIGQUIT does not even tidy up."""
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait()
            self.process = None

    def emptied(self, database: str = "postgres") -> str:
        """Take the store out of a database, which is faster than making another, and return its address."""
        self.execute("DROP SCHEMA IF EXISTS batchlab CASCADE", database)
        return self.address(database)

    def address(self, database: str, user: str = USER) -> str:
        """Return the address of a database as `--store` takes it."""
        return f"postgresql+psycopg://{user}@/{database}?host={self.folder}"

    def execute(self, statement: str, database: str = "postgres") -> None:
        """Run a statement outside a transaction, as the server's owner."""
        with psycopg.connect(dbname=database, user=USER, host=str(self.folder), autocommit=True) as connection:
            connection.execute(statement.encode())

    def _answers(self) -> bool:
        try:
            self.execute("SELECT 1")
        except psycopg.OperationalError:
            return False
        return True


@contextmanager
def postgres_server() -> Iterator[PostgresServer]:
    """Make a server and run it for the length of a `with`; root, whom PostgreSQL refuses, becomes the user postgres."""
    programs = server_programs()
    assert programs is not None, "PostgreSQL is not installed"
    # The path of a socket has a hundred bytes at most, so that a deep folder will not do.
    with tempfile.TemporaryDirectory(prefix="pg", dir="/tmp") as name:
        if os.geteuid() == 0:
            shutil.chown(name, "postgres", "postgres")
        server = PostgresServer(Path(name), programs, prefix=_as_whom())
        initdb = [programs / "initdb", "-D", f"{name}/data", "-U", USER, "-A", "trust", "-E", "UTF8", "--no-locale"]
        subprocess.run([*server.prefix, *initdb, "-N"], check=True, capture_output=True, cwd=name)
        server.start()
        try:
            yield server
        finally:
            server.stop()
            server.starter.shutdown()


def _as_whom() -> tuple[str, ...]:
    """Return what goes before a command: it stops when whoever started it is killed, and is not root's."""
    whom = ("--reuid=postgres", "--regid=postgres", "--clear-groups") if os.geteuid() == 0 else ()
    return ("setpriv", "--pdeathsig=INT", *whom) if shutil.which("setpriv") else ()


def _number(version: str) -> float:
    return float(version) if version.replace(".", "", 1).isdigit() else 0.0
