import pytest

from batchlab.errors import StoreError
from batchlab.studies.store_addresses import kind_of, shown, store_path
from batchlab.studies.store_opening import open_store


@pytest.mark.parametrize("text", ["a/b.db", "sqlite:///a/b.db"])
def test_a_path_and_an_address_mean_the_same_file(text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert store_path(text) == tmp_path / "a" / "b.db"
    assert shown(text) == str(tmp_path / "a" / "b.db")


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("memory:", "memory"),
        ("x.db", "file"),
        ("postgresql://h/d", "server"),
        ("postgres://h/d", "server"),
        ("postgresql+psycopg://h/d", "server"),
    ],
)
def test_an_address_says_what_it_means(text, kind):
    assert kind_of(text) == kind


def test_other_databases_are_refused_without_repeating_a_password():
    with pytest.raises(StoreError) as caught:
        open_store("mysql://me:secret@host/db")
    assert str(caught.value) == (
        "A store is a path, sqlite:///PATH or postgresql+psycopg://USER@HOST/DATABASE, got an address that starts with "
        "mysql://; give a path, as in batchlab.db."
    )


@pytest.mark.parametrize("text", ["", "sqlite:///"])
def test_an_empty_path_is_refused(text):
    with pytest.raises(StoreError) as caught:
        open_store(text)
    assert str(caught.value) == "A store is a file, got an empty path; give one, as in batchlab.db."


@pytest.mark.parametrize(
    ("address", "seen"),
    [
        ("postgresql://ann@h/d", "postgresql+psycopg://ann@h/d"),
        ("postgres://ann:secret@h:5433/d", "postgresql+psycopg://ann:***@h:5433/d"),
        ("postgresql://ann:se@cr:et@h/d", "postgresql+psycopg://ann:***@h/d"),
        ("postgresql://:secret@h/d", "postgresql+psycopg://:***@h/d"),
        ("postgresql:///d?user=ann&password=secret&host=h", "postgresql+psycopg:///d?user=ann&password=***&host=h"),
        ("postgresql:///d?sslpassword=secret", "postgresql+psycopg:///d?password=***"),
    ],
)
def test_a_password_is_never_shown(address, seen):
    assert shown(address) == seen
