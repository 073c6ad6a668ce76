import dataclasses

import pytest
import torch

import cases
from batchlab.measure.random_states import kept_randomness
from batchlab.studies.pilot import pause_steps, pilot_settings, train_pilot
from batchlab.train.trial import run_trial


def settings(workload, **changes):
    fields = {"batch_size": 8, "n_steps": 20, "learning_rate": 0.1, "seed": 3, "device": "cpu"}
    return pilot_settings(workload, **(fields | changes))


def test_the_pilot_is_the_trial_of_the_reference_loop():
    workload = cases.tiny_classifier()
    chosen = settings(workload)
    with kept_randomness():
        losses = [pause.loss for pause in train_pilot(workload, chosen, (10, 20))]
    trial = run_trial(workload, dataclasses.replace(chosen, evaluate_at=(80, 160)))
    assert losses == list(trial.curve.train_loss[1:])


def test_a_look_at_the_model_changes_nothing():
    workload = cases.tiny_classifier()

    def final(pauses):
        with kept_randomness():
            *_, last = train_pilot(workload, settings(workload), pauses)
            return [parameter.detach().clone() for parameter in last.model.parameters()]

    for a, b in zip(final((20,)), final((1, 7, 20)), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize(("n_steps", "n", "expected"), [(1000, 1, (1000,)), (3, 4, (1, 2, 3)), (1, 4, (1,))])
def test_pauses_are_whole_steps_that_rise_to_the_end(n_steps, n, expected):
    assert pause_steps(n_steps, n) == expected
