import dataclasses
from typing import Any

import numpy
import pytest
import torch

from batchlab.errors import UsageError
from batchlab.records import StudySpec
from batchlab.studies.optimizer_settings import OPTIMIZER_SETTINGS
from batchlab.studies.spec import StudyOptions, resolve_spec
from batchlab.workloads.choices import NAMED_OPTIMIZERS
from simulated import INFO

OWN = dataclasses.replace(
    INFO, optimizer="Lion", optimizer_settings=(("betas", (0.9, 0.99)), ("lr", 3e-4), ("mode", "fast"))
)


def resolved(info: Any = OWN, **options: Any) -> StudySpec:
    """Return the spec of these options."""
    return resolve_spec(StudyOptions(**options), info)


def test_every_optimizer_with_a_name_can_be_chosen_by_it() -> None:
    assert set(OPTIMIZER_SETTINGS) == set(NAMED_OPTIMIZERS)


@pytest.mark.parametrize("name", OPTIMIZER_SETTINGS)
def test_every_setting_is_one_of_torchs(name: str) -> None:
    parameter = torch.nn.Parameter(torch.zeros(1))
    assert set(OPTIMIZER_SETTINGS[name]) <= set(NAMED_OPTIMIZERS[name]([parameter], lr=0.1).defaults)


@pytest.mark.parametrize(
    ("name", "settings", "stored"),
    [
        ("rmsprop", {"alpha": 0.9, "centered": True}, (("alpha", 0.9), ("centered", True))),
        ("rmsprop", {"momentum": 0, "weight_decay": "0.1"}, (("momentum", 0.0), ("weight_decay", 0.1))),
        ("adagrad", {"lr_decay": 1e-3, "eps": 1e-9}, (("eps", 1e-9), ("lr_decay", 1e-3))),
    ],
)
def test_settings_are_stored_alike_however_they_were_written(name: str, settings: Any, stored: Any) -> None:
    assert resolved(INFO, optimizer=name, optimizer_settings=settings).optimizer_settings == stored


def test_a_setting_that_the_optimizer_lacks_is_refused_with_those_it_has() -> None:
    with pytest.raises(UsageError) as raised:
        resolved(INFO, optimizer="adagrad", optimizer_settings={"nesterov": True})
    assert str(raised.value) == (
        "The optimizer adagrad has no setting 'nesterov'; it has lr_decay, weight_decay, initial_accumulator_value, "
        "eps."
    )


def test_an_optimizer_of_the_users_keeps_its_settings_as_they_are() -> None:
    spec = resolved()
    assert (spec.optimizer, spec.base_lr) == ("Lion", 3e-4)
    assert spec.optimizer_settings == (("betas", (0.9, 0.99)), ("mode", "fast"))


def test_settings_are_added_to_those_of_the_users_own_unchecked() -> None:
    added = {"steps": 3, "warm": True, "mode": "slow", "decay": numpy.float64(0.5), "k": numpy.int64(2), "a": [1, 2]}
    spec = resolved(optimizer="Lion", optimizer_settings=added)
    assert dict(spec.optimizer_settings) == {
        "betas": (0.9, 0.99), "steps": 3, "warm": True, "mode": "slow", "decay": 0.5, "k": 2, "a": (1.0, 2.0)
    }  # fmt: skip
    assert {type(value) for _, value in spec.optimizer_settings} == {tuple, int, bool, str, float}


def test_a_setting_that_cannot_be_stored_is_refused() -> None:
    with pytest.raises(UsageError) as raised:
        resolved(optimizer_settings={"hook": None})
    assert str(raised.value) == (
        "The optimizer setting `hook` is a number, true or false, a text or several numbers, got None; correct it."
    )


def test_a_named_optimizer_can_be_tried_in_place_of_the_users_own() -> None:
    spec = resolved(optimizer="adam")
    assert (spec.optimizer, spec.base_lr, spec.optimizer_settings) == ("adam", 0.001, ())


def test_the_users_own_is_among_the_choices() -> None:
    with pytest.raises(UsageError) as raised:
        resolved(optimizer="lion")
    assert str(raised.value) == (
        "`optimizer` is sgd, adam, adamw, rmsprop, adagrad or Lion, got 'lion'; choose one of these."
    )
