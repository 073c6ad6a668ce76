"""Optimizer settings that go with another batch size.

Every rule is a starting point for a search, not its result: none held over all workloads of Shallue et al. (2019).
Rules assume a well-tuned base and gradients that are mostly noise at both batch sizes; beyond a factor of 16, or near
the critical batch size, expect linear and square-root scaling to overshoot.
"""

import math
from collections.abc import Mapping
from typing import Any

RULES = ("auto", "linear", "sqrt", "none")
AUTO_RULES = {"sgd": "linear", "adam": "sqrt", "adamw": "sqrt", "rmsprop": "sqrt"}

# What torch uses where a setting is absent; these move with the batch size too.
TORCH_DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "sgd": {},
    "adam": {"betas": (0.9, 0.999), "eps": 1e-8},
    "adamw": {"betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 1e-2},
    "rmsprop": {"alpha": 0.99, "eps": 1e-8},
}


def scale_learning_rate(learning_rate: float, from_batch_size: float, to_batch_size: float, rule: str) -> float:
    """Return the learning rate times κ (linear), √κ (sqrt) or 1 (none), κ = to_batch_size/from_batch_size.

    Linear keeps displacement and noise per example under SGD; the square root keeps the spread of an update, and is
    the rule for Adam (Malladi et al. 2022).

    >>> scale_learning_rate(0.1, 64, 256, "linear"), scale_learning_rate(0.1, 64, 256, "sqrt")
    (0.4, 0.2)
    """
    if rule not in RULES[1:]:
        raise ValueError(f"`rule` must be linear, sqrt or none, got {rule!r}; use linear for SGD and sqrt for Adam.")
    if not 0 < learning_rate < math.inf:
        raise ValueError(
            f"The learning rate must be positive and finite, got {learning_rate}; give that of the base run."
        )
    factor = _ratio(from_batch_size, to_batch_size)
    return learning_rate * {"linear": factor, "sqrt": math.sqrt(factor), "none": 1.0}[rule]


def scale_hyperparameters(
    settings: Mapping[str, Any],
    from_batch_size: float,
    to_batch_size: float,
    optimizer: str = "sgd",
    rule: str = "auto",
) -> dict[str, Any]:
    """Return optimizer settings for `to_batch_size`, given good ones at `from_batch_size`; κ is the ratio.

    In this order:

    1. `momentum`, `betas`, `alpha`: β' = β^κ, the same half-life in examples (1 - κ(1 - β) to first order, but in
       (0, 1)).
    2. `lr`: by the rule; `auto` is linear for SGD and sqrt for Adam, AdamW and RMSprop. Torch's momentum buffer
       v = β v + g is not normalized, so the effective rate is lr/(1 - β): times (1 - β')/(1 - β). A `dampening` equal
       to the momentum normalizes the buffer: it then moves along, without that factor.
    3. `weight_decay` of AdamW: λ' = λ κ lr/lr', the same timescale B/(lr λ) in examples (Wang and Aitchison 2024).
       Under the other optimizers it is part of the loss, whose minimum should stay where it is: kept.
    4. `eps` of Adam, AdamW and RMSprop: eps/√κ, as the gradient's root mean square falls (Malladi et al. 2022).

    All else is kept. With `rule="none"`, or at the same batch size, nothing moves. Schedules and warm-up are
    not settings: keep them constant in examples.

    Args:
        settings: With torch's own keys and a number under `lr`. Absent ones that move count as torch's
            defaults, and are in what is returned.
        from_batch_size: Examples a step at which `settings` are good.
        to_batch_size: Examples a step to train with.
        optimizer: sgd, adam, adamw or rmsprop.
        rule: auto, linear, sqrt or none.

    >>> scale_hyperparameters({"lr": 0.1, "weight_decay": 5e-4}, 64, 256)
    {'lr': 0.4, 'weight_decay': 0.0005}
    """
    _check(settings, optimizer, rule)
    factor = _ratio(from_batch_size, to_batch_size)
    if rule == "none" or factor == 1:
        return dict(settings)
    scaled = {**TORCH_DEFAULTS[optimizer], **settings}
    scaled.update(_averages(scaled, factor))
    chosen = AUTO_RULES[optimizer] if rule == "auto" else rule
    learning_rate = scale_learning_rate(settings["lr"], from_batch_size, to_batch_size, chosen)
    scaled["lr"] = learning_rate * _momentum_correction(settings, scaled)
    if optimizer == "adamw":
        scaled["weight_decay"] *= factor * settings["lr"] / scaled["lr"]
    if "eps" in scaled:
        scaled["eps"] /= math.sqrt(factor)
    return scaled


def _averages(settings: Mapping[str, Any], factor: float) -> dict[str, Any]:
    """Return the decay factors of running averages with the same half-life in examples."""
    moved: dict[str, Any] = {key: settings[key] ** factor for key in ("momentum", "alpha") if settings.get(key)}
    if "betas" in settings:
        moved["betas"] = tuple(beta**factor for beta in settings["betas"])
    if settings.get("dampening") and settings["dampening"] == settings.get("momentum"):
        moved["dampening"] = moved["momentum"]
    return moved


def _momentum_correction(before: Mapping[str, Any], after: Mapping[str, Any]) -> float:
    if before.get("dampening") and before["dampening"] == before.get("momentum"):
        return 1.0
    return float((1 - after.get("momentum", 0.0)) / (1 - before.get("momentum", 0.0)))


def _ratio(from_batch_size: float, to_batch_size: float) -> float:
    if not (0 < from_batch_size < math.inf and 0 < to_batch_size < math.inf):
        raise ValueError(
            f"Batch sizes must be positive, got {from_batch_size} and {to_batch_size}; give examples an optimizer step."
        )
    return to_batch_size / from_batch_size


def _check(settings: Mapping[str, Any], optimizer: str, rule: str) -> None:
    if optimizer not in AUTO_RULES:
        raise ValueError(
            f"`optimizer` must be one of {', '.join(AUTO_RULES)}, got {optimizer!r}; "
            "for another optimizer move its learning rate with `scale_learning_rate`."
        )
    if rule not in RULES:
        raise ValueError(
            f"`rule` must be one of {', '.join(RULES)}, got {rule!r}; use auto for the optimizer's own rule."
        )
    if "lr" not in settings:
        raise ValueError(
            f"`settings` must hold the learning rate under `lr`, got {', '.join(settings) or 'nothing'}; add it."
        )
    decays = [settings.get("momentum", 0.0), settings.get("alpha", 0.0), *settings.get("betas", ())]
    if not all(0 <= decay < 1 for decay in decays):
        raise ValueError(
            f"Momentum, betas and alpha must lie in [0, 1), got {decays}; a running average with 1 never forgets."
        )
