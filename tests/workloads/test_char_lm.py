import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from batchlab.errors import DataCorrupt
from batchlab.train.inspection import inspect_workload
from batchlab.workload import check_splits
from batchlab.workloads.char_lm import Vocabulary, next_character_loss, windows
from batchlab.workloads.loading import load_workload
from cases import reproducible

WORDS = "the quick brown fox jumps over the lazy dog and runs away\n"


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "words.txt"
    path.write_text((WORDS * 400)[:20_000])
    return path


def test_a_text_is_cut_into_windows_of_training_validation_and_test(text):
    splits = load_workload("char-lm", data_dir=text).splits(0)
    assert [part.shape for part in (splits.train, splits.valid, splits.test)] == [(246, 65), (30, 65), (30, 65)]
    assert splits.train.dtype == torch.int64


def test_windows_are_the_text_in_order(text):
    workload = load_workload("char-lm", data_dir=text)
    characters = "".join(sorted(set(WORDS)))
    read = ["".join(characters[i] for i in part.flatten()) for part in (workload.train, workload.valid, workload.test)]
    whole = text.read_text()
    assert read == [whole[: 246 * 65], whole[16_000:][: 30 * 65], whole[18_000:][: 30 * 65]]


def test_a_character_that_training_lacks_is_unknown(text):
    text.write_text(text.read_text()[:16_000] + "ж€" * 2_000)
    workload = load_workload("char-lm", data_dir=text)
    unknown = len(set(WORDS))
    assert workload.train.max() == unknown - 1
    assert workload.valid.unique().tolist() == [unknown]
    assert workload.make_model().embedding.num_embeddings == unknown + 1


@given(st.text(), st.text())
def test_ids_are_places_in_the_vocabulary(known, text):
    vocabulary = Vocabulary("".join(sorted(set(known))))
    expected = [vocabulary.characters.find(character) for character in text]
    assert vocabulary.ids(text).tolist() == [len(vocabulary) - 1 if place < 0 else place for place in expected]


def test_the_rest_of_a_text_makes_no_window():
    assert windows(torch.arange(64)).shape == (0, 65)
    assert torch.equal(windows(torch.arange(140)), torch.arange(130).view(2, 65))


class Uniform(nn.Module):
    def forward(self, tokens):
        return torch.zeros(*tokens.shape, 7)


def test_the_loss_counts_characters_in_nats():
    loss_sum, count = next_character_loss(Uniform(), torch.zeros(5, 65, dtype=torch.int64))
    assert count == 5 * 64
    assert float(loss_sum) == pytest.approx(count * math.log(7))


def test_a_study_is_told_what_it_needs(text):
    workload = load_workload("char-lm", data_dir=text)
    check_splits(workload, workload.splits(0))
    info = inspect_workload(workload, "char-lm")
    assert (info.name, info.unit, info.metric, info.higher_is_better) == ("char-lm", "sequence", "loss", False)
    assert (info.n_train, info.n_valid, info.n_test, info.optimizer) == (246, 30, 30, "adamw")


def test_it_learns_words_that_repeat(text):
    workload = load_workload("char-lm", data_dir=text)
    with reproducible(seed=0):
        model = workload.make_model()
        before = loss_on(model, workload.valid)
        optimizer = torch.optim.AdamW(model.parameters(), **workload.optimizer_settings)
        for start in range(0, 160, 8):
            loss_sum, count = next_character_loss(model, workload.train[start : start + 8])
            optimizer.zero_grad()
            (loss_sum / count).backward()
            optimizer.step()
    assert before == pytest.approx(math.log(len(set(WORDS)) + 1), abs=0.3)
    # Without a look at what comes before, the frequencies of the characters are the best there is.
    shares = [WORDS.count(character) / len(WORDS) for character in set(WORDS)]
    assert loss_on(model, workload.valid) < -sum(share * math.log(share) for share in shares) - 0.5


@torch.no_grad()
def loss_on(model, batch):
    loss_sum, count = next_character_loss(model, batch)
    return float(loss_sum) / count


def test_too_short_a_text_is_told(text):
    text.write_text("x" * 10_399)
    with pytest.raises(DataCorrupt) as caught:
        load_workload("char-lm", data_dir=text)
    assert str(caught.value) == (
        f"{text} should hold at least 10400 characters, so that validation and test have 16 windows of 65 each, but "
        "holds 10399; give a longer text."
    )
    text.write_text("x" * 10_400)
    assert len(load_workload("char-lm", data_dir=text).test) == 16
