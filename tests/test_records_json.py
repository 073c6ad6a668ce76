import json
from dataclasses import dataclass, field, replace

from batchlab.records import Stop, TrialSettings, from_json, identity, to_json
from batchlab.records_json import LATER
from train_settings import settings


@dataclass(frozen=True)
class Before:
    size: int = 3


@dataclass(frozen=True)
class After:
    size: int = 3
    color: str | None = field(default=None, metadata=LATER)


def test_a_field_that_came_later_leaves_identities_as_they_were() -> None:
    assert identity(After()) == identity(Before())
    assert identity(After(color="red")) != identity(Before())


def test_a_trial_that_may_end_early_is_another_trial() -> None:
    plain = settings()
    stops = [None, Stop(target=0.1), Stop(target=0.1, most_examples=100), Stop(target=0.1, held=2)]
    assert len({identity(replace(plain, stop=stop)) for stop in stops}) == 4


def test_settings_from_before_there_was_a_rule_to_stop_are_read() -> None:
    stored = to_json(settings())
    del stored["stop"]
    assert from_json(TrialSettings, json.loads(json.dumps(stored))) == settings()


def test_the_rule_to_stop_travels_as_json() -> None:
    asked = settings(stop=Stop(target=0.1, most_examples=100))
    assert from_json(TrialSettings, json.loads(json.dumps(to_json(asked)))) == asked
