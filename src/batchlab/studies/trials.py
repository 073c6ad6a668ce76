"""The settings of a trial, from the question and its place in it."""

import functools

from batchlab.records import StudySpec, TrialSettings, WorkloadInfo, identity
from batchlab.train.budgets import evaluation_points, points_toward_target, steps_in_budget

trial_id = functools.lru_cache(maxsize=100_000)(identity)


def trial_settings(
    spec: StudySpec, info: WorkloadInfo, arm: int, learning_rate: float, seed: int, purpose: str
) -> TrialSettings:
    """Return the settings of one trial of the arm.

    Where all of a batch goes through the model at once the micro-batch size has no part in what the trial is. With a
    target, evaluations are dense.
    """
    batch_size = spec.same_batch_size or arm
    is_split = spec.micro_batch_size is not None and spec.micro_batch_size < batch_size
    n_steps = steps_in_budget(spec.budget, batch_size, info.n_train, spec.last_batch)
    examples = {"epochs": spec.budget.value * info.n_train, "examples": spec.budget.value}
    n_examples = round(examples.get(spec.budget.kind, n_steps * batch_size))
    points = evaluation_points(n_examples) if spec.target is None else points_toward_target(n_examples, info.n_valid)
    return TrialSettings(
        workload=info.name,
        fingerprint=info.fingerprint,
        batch_size=batch_size,
        learning_rate=learning_rate,
        n_steps=n_steps,
        optimizer=spec.optimizer,
        optimizer_settings=spec.optimizer_settings,
        schedule=spec.schedule,
        last_batch=spec.last_batch,
        evaluate_at=points,
        base_seed=spec.seed,
        seed=seed,
        replica=0 if spec.same_batch_size is None else spec.batch_sizes.index(arm) + 1,
        purpose=purpose,
        device=spec.device,
        micro_batch_size=spec.micro_batch_size if is_split else None,
        threads=max(1, info.threads),
        noise_batch_size=spec.noise_batch_size,
        permute_labels=spec.permute_labels,
    )
