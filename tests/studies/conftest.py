"""A PostgreSQL server for the tests that need one: one a session, an empty store a test."""

import os
from collections.abc import Iterator

import pytest

from postgres_server import PostgresServer, postgres_server, server_programs


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """Return a running server; where none is installed the test is skipped, in CI it fails."""
    if server_programs() is None:
        reason = "PostgreSQL's server is not installed (apt-get install postgresql)"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    with postgres_server() as server:
        yield server


@pytest.fixture
def postgres_address(postgres: PostgresServer) -> str:
    """Return the address of a database without a store."""
    return postgres.emptied()
