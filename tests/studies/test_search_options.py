import pytest

from batchlab.errors import UsageError
from batchlab.studies.search_options import read_confirm, read_search


def test_a_race_is_run_where_it_can_be() -> None:
    assert read_search("model", {"a target": True}) == "model"
    assert read_search("grid", {"a target": False}) == "grid"


def test_what_a_race_lacks_is_named() -> None:
    with pytest.raises(UsageError) as caught:
        read_search("model", {"a target": False, "learning rates to tune": False, "no controls": True})
    assert str(caught.value) == (
        "The model search needs a target and learning rates to tune, got a study without; use grid."
    )


def test_only_two_searches_are_known() -> None:
    with pytest.raises(UsageError) as caught:
        read_search("random", {})
    assert str(caught.value) == "`search` is grid or model, got 'random'; choose one of these."


def test_a_race_confirms_contenders_or_all() -> None:
    assert [read_confirm(value) for value in ("contenders", "all")] == ["contenders", "all"]
    with pytest.raises(UsageError) as caught:
        read_confirm("none")
    assert str(caught.value) == "`confirm` is contenders or all, got 'none'; choose one of these."
