import socket

import pytest

from batchlab.errors import ExecutorError
from batchlab.studies.asking import ask
from batchlab.studies.ray_cluster import connect


class NoCluster:
    """Stands for Ray where there is no cluster."""

    @staticmethod
    def is_initialized() -> bool:
        """Return that nobody has connected."""
        return False

    @staticmethod
    def init(**options: object) -> None:
        """Fail as Ray does."""
        raise ConnectionError("Could not find any running Ray instance.")


def refusal(address: str | None) -> str:
    """Return what is said against an address."""
    with pytest.raises(ExecutorError) as caught, connect(NoCluster, address):
        pass
    return str(caught.value)


def test_an_address_where_nothing_listens_is_refused_at_once() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{unused.getsockname()[1]}"
        assert refusal(address) == (
            f"A Ray cluster is named as HOST:PORT, auto or local, and nothing answers at '{address}' ([Errno 111] "
            "Connection refused); see `ray status` on its head for the address."
        )


@pytest.mark.parametrize("address", ["head", ":6379"])
def test_an_address_without_a_host_or_a_port_is_refused(address: str) -> None:
    assert refusal(address).startswith(
        f"A Ray cluster is named as HOST:PORT, auto or local, and nothing answers at '{address}' ("
    )


def test_where_there_is_no_cluster_it_is_said_how_to_have_one() -> None:
    assert refusal(None) == (
        "A Ray cluster was expected (auto), and none could be joined (Could not find any running Ray instance.); start "
        "one with `ray start --head`, give its address with `--address HOST:PORT`, or use this machine alone with "
        "`--address local`."
    )


def test_an_unknown_executor_and_an_address_without_ray_are_mistakes() -> None:
    asked = ask("digits-mlp", {"executor": "dask", "address": "head:6379"})
    assert asked.mistakes == (
        "An executor is local or ray, got 'dask'; choose one.",
        "An `address` is that of a Ray cluster; add the executor, ray, or leave it out.",
    )


def test_where_trials_run_is_no_part_of_the_question() -> None:
    here, there = ask("digits-mlp", {}), ask("digits-mlp", {"executor": "ray", "address": "head:6379"})
    assert there.options == here.options
    assert there.mistakes == ()
    assert (there.run.executor, there.run.address) == ("ray", "head:6379")
