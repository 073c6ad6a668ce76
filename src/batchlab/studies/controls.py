"""The plan of a study with its controls: what these add comes last, when the study itself has been settled."""

import dataclasses
from collections.abc import Sequence

from batchlab.analyze.control_arms import Base, ControlArm, base_of, purpose_of
from batchlab.analyze.controls import arms_of_controls, questions_of_controls
from batchlab.analyze.learning_rates import chosen_learning_rates
from batchlab.records import Budget, StepTime, StudySpec, TrialSettings, WorkloadInfo
from batchlab.studies.plan import Plan, Results, plan
from batchlab.studies.trials import trial_id, trial_settings
from batchlab.train.budgets import steps_in_budget


def plan_with_controls(
    spec: StudySpec, info: WorkloadInfo, results: Results, step_times: Sequence[StepTime] = ()
) -> Plan:
    """Return what the study needs, given what it has: the comparison of batch sizes, and then its controls.

    Their arms train with the seeds of the comparison; a control with a question of its own is a study like any other.
    """
    step = plan(spec, info, results, step_times)
    if not spec.controls:
        return step
    if not step.complete:
        return dataclasses.replace(step, n_expected=step.n_expected + _expected(spec, info))
    own = [plan(question, info, results) for question in questions_of_controls(spec)]
    trials = (*step.trials, *_arm_trials(spec, info, results, step), *(one for other in own for one in other.trials))
    missing = [one for one in trials if trial_id(one) not in results]
    expected = len(trials) + sum(other.n_expected - len(other.trials) for other in own)
    complete = not missing and all(other.complete for other in own)
    return Plan("complete" if complete else "controls", tuple(dict.fromkeys(trials)), expected)


def _arm_trials(spec: StudySpec, info: WorkloadInfo, results: Results, step: Plan) -> list[TrialSettings]:
    found = [results[trial_id(one)] for one in step.trials]
    rates = {arm: rate.value for arm, rate in chosen_learning_rates(spec, found).items()}
    base = base_of(spec, rates, found)
    if base is None:
        return []
    return [_trial(base, info, arm, seed) for arm in arms_of_controls(base) for seed in range(spec.seeds)]


def _trial(base: Base, info: WorkloadInfo, arm: ControlArm, seed: int) -> TrialSettings:
    """Return one trial of the arm: the study's own but for what the arm changes."""
    spec, purpose = base.spec, purpose_of(arm, base)
    if arm.n_steps != base.steps[arm.batch_size]:
        spec = dataclasses.replace(spec, budget=Budget("steps", float(arm.n_steps)))
    return trial_settings(spec, info, arm.batch_size, arm.learning_rate, seed, purpose)


def _expected(spec: StudySpec, info: WorkloadInfo) -> int:
    """Return about how many trials the controls will add, by arms with made-up learning rates."""
    steps = {size: steps_in_budget(spec.budget, size, info.n_train, spec.last_batch) for size in spec.batch_sizes}
    rates = {size: 0.1 * size**0.75 for size in spec.batch_sizes}
    base = Base(spec, rates, steps, min(steps), max(steps))
    n_arms = sum(purpose_of(arm, base) == "control" for arm in arms_of_controls(base))
    return n_arms * spec.seeds + sum(plan(one, info, {}).n_expected for one in questions_of_controls(spec))
