import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchlab.errors import DataCorrupt, DataMissing
from batchlab.workloads.text_files import cut, find_text, read_text


@pytest.fixture(autouse=True)
def empty_surroundings(tmp_path, monkeypatch):
    monkeypatch.delenv("BATCHLAB_DATA", raising=False)
    monkeypatch.chdir(tmp_path)


def write(path, content=b"words"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def missing(data_dir=None) -> str:
    with pytest.raises(DataMissing) as caught:
        find_text(data_dir)
    return str(caught.value)


def corrupt(path) -> str:
    with pytest.raises(DataCorrupt) as caught:
        read_text(path)
    return str(caught.value)


def test_a_file_may_be_named_itself_whatever_it_is_called(tmp_path):
    path = write(tmp_path / "book.md")
    assert find_text(path) == path


@pytest.mark.parametrize("place", ["d/text/book.txt", "d/book.txt"])
def test_the_only_text_in_a_folder_is_found(tmp_path, place):
    path = write(tmp_path / place)
    write(path.parent / "notes.md")
    assert find_text(tmp_path / "d") == path


def test_the_environment_comes_before_the_current_folder(tmp_path, monkeypatch):
    near = write(tmp_path / "data" / "text" / "near.txt")
    assert find_text() == near
    far = write(tmp_path / "mine" / "text" / "far.txt")
    monkeypatch.setenv("BATCHLAB_DATA", str(tmp_path / "mine"))
    assert find_text() == far


def test_without_a_text_every_place_is_named(tmp_path, monkeypatch):
    assert missing() == (
        f"char-lm needs a text file, but there is no .txt file in any of {tmp_path}/data/text (BATCHLAB_DATA is not "
        "set); name yours with --data FILE, or put it into text/ in the folder that BATCHLAB_DATA names."
    )
    monkeypatch.setenv("BATCHLAB_DATA", str(tmp_path / "mine"))
    assert missing() == (
        f"char-lm needs a text file, but there is no .txt file in any of {tmp_path}/mine/text, {tmp_path}/data/text; "
        "name yours with --data FILE, or put it into text/ in the folder that BATCHLAB_DATA names."
    )


def test_a_path_with_nothing_there_is_told(tmp_path):
    assert missing(tmp_path / "bok.txt") == (
        f"--data must name a text file or a folder that holds one, but there is nothing at {tmp_path}/bok.txt; correct "
        "the path."
    )


def test_of_several_texts_one_must_be_named(tmp_path):
    write(tmp_path / "b.txt")
    write(tmp_path / "a.txt")
    assert missing(tmp_path) == (
        f"A text folder must hold one .txt file, but {tmp_path} holds 2: a.txt, b.txt; name one of them with "
        "--data FILE."
    )


def test_lines_and_encoding_marks_do_not_depend_on_the_editor(tmp_path):
    assert read_text(write(tmp_path / "a.txt", b"\xef\xbb\xbfone\r\ntwo \xc3\xa9")) == "one\ntwo é"


def test_another_encoding_is_told_with_its_place(tmp_path):
    path = write(tmp_path / "a.txt", "café au lait".encode("latin-1"))
    assert corrupt(path) == (
        f"{path} should be text in UTF-8, but its byte 3 is not (invalid continuation byte); save it as UTF-8."
    )


def test_an_unreadable_file_is_told(tmp_path):
    assert corrupt(tmp_path) == f"{tmp_path} should be readable, but is not: Is a directory; mend its permissions."


@given(st.text(max_size=200))
def test_the_parts_follow_each_other_and_make_up_the_whole(text):
    parts = cut(text)
    assert parts.train + parts.valid + parts.test == text
    assert len(parts.valid) == len(parts.test) == len(text) // 10
