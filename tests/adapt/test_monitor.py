import math
import re

import pytest
import torch
from torch import nn

import measure_cases
from batchlab.adapt.monitor import NoiseScaleMonitor
from batchlab.errors import UsageError
from batchlab.numerics.gradient_moments import noise_moments

D, START = 20, 0.3
# Of the loss |w - x|²/2 at w = START with standard normal x.
TRACE, SIGNAL = 20.0, 20 * START**2


def gaussian(sizes, steps, seed=0):
    """Yield the micro-batches of each step."""
    generator = torch.Generator().manual_seed(seed)
    for _ in range(steps):
        yield [torch.randn(size, D, generator=generator) for size in sizes]


def watched(steps, *, weights=None, factor=1.0, model=None, **settings):
    """Return a monitor after steps at fixed parameters; `factor` is that of mixed precision."""
    model = model or measure_cases.Shifted(torch.full((D,), START))
    monitor = NoiseScaleMonitor(model, every=1, window_examples=1e9, **settings)
    for micro_batches in steps:
        model.zero_grad()
        for index, batch in enumerate(micro_batches):
            weight = None if weights is None else weights[index]
            (factor * (weight or 1.0) * model(batch).mean()).backward()
            monitor.micro_batch(len(batch), loss_weight=weight)
        monitor.step()
    return monitor


def moments(monitor):
    found = monitor.noise_scale
    return found.trace.mean, found.signal.mean


@pytest.mark.parametrize(
    ("sizes", "weights"),
    [((8, 8, 8, 8), None), ((8, 8, 3), None), ((8, 8, 3), (8 / 19, 8 / 19, 3 / 19)), ((2, 30), (0.5, 0.5))],
)
def test_trace_and_signal_are_unbiased(sizes, weights):
    # 40 blocks of 10 steps; false alarm rate .0004 for the two together.
    found = watched(gaussian(sizes, 400), weights=weights).noise_scale
    for interval, truth in ((found.trace, TRACE), (found.signal, SIGNAL)):
        assert interval.high is not None
        assert abs(interval.mean - truth) < 1.85 * (interval.high - interval.mean)


def test_the_interval_contains_the_truth():
    found = watched(gaussian((8, 8, 8, 8), 400)).noise_scale
    assert found.n_blocks == 40 and found.low < TRACE / SIGNAL < found.high


def test_a_divided_loss_makes_no_difference():
    plain = watched(gaussian((8, 8, 8, 8), 40))
    divided = watched(gaussian((8, 8, 8, 8), 40), weights=(0.25,) * 4)
    by_setting = watched(gaussian((8, 8, 8, 8), 40), factor=0.25, loss_divisor=4)
    assert moments(divided) == pytest.approx(moments(plain), rel=1e-5)
    assert moments(by_setting) == pytest.approx(moments(plain), rel=1e-5)


def test_the_factor_of_mixed_precision_is_undone():
    plain = watched(gaussian((8, 8), 40))
    scaled = watched(gaussian((8, 8), 40), factor=1024.0, scale=lambda: 1024.0)
    assert moments(scaled) == pytest.approx(moments(plain), rel=1e-5)


def test_a_gradient_scaler_is_read():
    scaler = torch.amp.GradScaler("cpu", init_scale=512.0)
    plain = watched(gaussian((8, 8), 40))
    scaler.scale(torch.zeros(()))
    scaled = watched(gaussian((8, 8), 40), factor=512.0, scale=scaler)
    assert moments(scaled) == pytest.approx(moments(plain), rel=1e-5)


def test_unscaling_or_clipping_first_is_refused():
    model = measure_cases.Shifted(torch.ones(2))
    monitor = NoiseScaleMonitor(model)
    for _ in range(2):
        model(torch.zeros(4, 2)).mean().backward()
        monitor.micro_batch(4)
    nn.utils.clip_grad_norm_(model.parameters(), 0.1)
    expected = (
        "`monitor.step` needs the gradients as the backward passes left them, but they were changed since the last "
        "`monitor.micro_batch`; call it before unscaling, clipping and `zero_grad`."
    )
    with pytest.raises(UsageError, match=f"^{re.escape(expected)}$"):
        monitor.step()


def test_clipping_afterward_changes_nothing():
    model = measure_cases.Shifted(torch.full((D,), START))
    monitor = NoiseScaleMonitor(model, every=1)
    for micro_batches in gaussian((8, 8), 20):
        model.zero_grad()
        for batch in micro_batches:
            model(batch).mean().backward()
            monitor.micro_batch(len(batch))
        monitor.step()
        nn.utils.clip_grad_norm_(model.parameters(), 1e-3)
    assert moments(monitor) == pytest.approx(moments(watched(gaussian((8, 8), 20))))


def test_frozen_and_unused_parameters_do_not_count():
    model = measure_cases.Shifted(torch.full((D,), START))
    model.unused = nn.Parameter(torch.ones(3))
    model.frozen = nn.Parameter(torch.ones(3), requires_grad=False)
    assert moments(watched(gaussian((8, 8), 20), model=model)) == pytest.approx(moments(watched(gaussian((8, 8), 20))))


@pytest.mark.parametrize("name", ["tied", "cnn"])
def test_a_step_gives_the_textbook_moments_of_its_micro_batches(name):
    model, mean_loss, batch = measure_cases.case(name)
    micro_batches = [tuple(part[rows] for part in batch) for rows in (slice(0, 2), slice(2, 6))]
    gradients = [measure_cases.plain_gradients(model, mean_loss, micro).mean(dim=0) for micro in micro_batches]
    whole = (2 * gradients[0] + 4 * gradients[1]) / 6
    expected = noise_moments([float(g @ g) for g in gradients], float(whole @ whole), [2, 4])
    monitor = NoiseScaleMonitor(model, by_layer=True)
    for micro, n in zip(micro_batches, (2, 4), strict=True):
        (mean_loss(model, micro) * n / 6).backward()
        monitor.micro_batch(n, loss_weight=n / 6)
    monitor.step()
    assert moments(monitor) == pytest.approx(expected, rel=1e-4)
    layers = monitor.noise_scales_by_layer
    assert sum(scale.trace.mean for scale in layers.values()) == pytest.approx(expected[0], rel=1e-4)


def test_batch_normalization_with_accumulation_is_that_of_its_micro_batches():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(7, 4), nn.BatchNorm1d(4), nn.Linear(4, 5))
    micro_batches = [measure_cases.vectors(seed, 8) for seed in range(2)]
    gradients = []
    for micro in micro_batches:
        model.zero_grad()
        measure_cases.CLASSIFICATION(model, micro).backward()
        gradients.append(torch.cat([p.grad.flatten() for p in model.parameters()]).double())
    model.zero_grad()
    whole = sum(gradients) / 2
    expected = noise_moments([float(g @ g) for g in gradients], float(whole @ whole), 8)
    monitor = NoiseScaleMonitor(model)
    for micro in micro_batches:
        measure_cases.CLASSIFICATION(model, micro).backward()
        monitor.micro_batch(8)
    monitor.step()
    assert moments(monitor) == pytest.approx(expected, rel=1e-4)


def test_dropout_is_noise():
    # The gradient is x times a mask over 0.5, and x is always 1: tr Σ = |G|² = 40; false alarm rate .0004.
    class Dropped(nn.Module):
        def __init__(self):
            super().__init__()
            self.w = nn.Parameter(torch.zeros(40))

        def forward(self, inputs):
            return nn.functional.dropout(inputs, 0.5) @ self.w

    torch.manual_seed(0)
    found = watched(([torch.ones(8, 40)] * 4 for _ in range(400)), model=Dropped()).noise_scale
    assert abs(found.trace.mean - 40) < 1.9 * (found.trace.high - found.trace.mean)
    assert abs(found.signal.mean - 40) < 1.9 * (found.signal.high - found.signal.mean)


def test_steps_that_are_not_finite_are_skipped_and_counted():
    steps = [*gaussian((8, 8), 20)]
    steps[3][1][0, 0] = math.inf
    monitor = watched(steps)
    assert monitor.n_skipped == 1 and monitor.n_steps == 20
    kept = watched([step for index, step in enumerate(steps) if index != 3])
    assert monitor.average.trace == pytest.approx(kept.average.trace, rel=1e-6)


def test_between_measured_steps_nothing_hangs_on_the_model():
    model = measure_cases.Shifted(torch.ones(2))
    monitor = NoiseScaleMonitor(model, every=3)
    hooked = []
    for _ in range(6):
        model.zero_grad()
        for _ in range(2):
            model(torch.zeros(4, 2)).mean().backward()
            monitor.micro_batch(4)
        hooked.append((monitor.due, bool(model.w._backward_hooks)))
        monitor.step()
    assert hooked == [(True, True), (False, False), (False, False)] * 2
    assert monitor.average.n_updates == 2
    monitor.close()
    assert not model.w._backward_hooks


def test_parts_leave_the_step_as_it_was():
    model, mean_loss, batch = measure_cases.case("mlp")
    mean_loss(model, batch).backward()
    expected = [parameter.grad.clone() for parameter in model.parameters()]
    model.zero_grad()
    monitor = NoiseScaleMonitor(model)
    sizes = []
    for part, weight in monitor.parts(batch, 4):
        (weight * mean_loss(model, part)).backward()
        monitor.micro_batch(len(part[0]), loss_weight=weight)
        sizes.append(len(part[0]))
    monitor.step()
    assert sizes == [2, 2, 2]
    for parameter, gradient in zip(model.parameters(), expected, strict=True):
        assert torch.allclose(parameter.grad, gradient, atol=1e-6)
    assert monitor.noise_scale.trace.mean == pytest.approx(monitor.average.trace)
    assert [weight for _, weight in monitor.parts(batch)] == [1.0]


def test_parts_are_refused_where_a_module_normalizes_over_the_batch():
    monitor = NoiseScaleMonitor(nn.Sequential(nn.Linear(7, 4), nn.BatchNorm1d(4)))
    expected = (
        "Splitting a batch leaves a step as it is only where examples do not see one another, but module '1' "
        "normalizes over the batch; train with accumulated micro-batches, so that each is normalized by itself anyway, "
        "or with GroupNorm."
    )
    with pytest.raises(UsageError, match=f"^{re.escape(expected)}$"):
        next(monitor.parts(torch.zeros(4, 7)))


def test_one_micro_batch_a_step_is_refused():
    expected = (
        "A noise scale needs two or more micro-batches in a step, got 1; accumulate, or split measured steps with "
        "`for part, weight in monitor.parts(batch)`."
    )
    with pytest.raises(UsageError, match=f"^{re.escape(expected)}$"):
        watched(gaussian((8,), 1))


def test_a_single_micro_batch_later_on_is_passed_over():
    monitor = watched([*gaussian((8, 8), 10), *gaussian((8,), 1)])
    assert monitor.average.n_updates == 10


def test_a_step_without_micro_batches_is_refused():
    expected = (
        "`monitor.step` comes after the micro-batches of a step, but none was noted; call `monitor.micro_batch(n)` "
        "after each backward pass."
    )
    with pytest.raises(UsageError, match=f"^{re.escape(expected)}$"):
        NoiseScaleMonitor(nn.Linear(1, 1)).step()


def test_saved_and_restored_it_goes_on_as_if_nothing_had_been():
    steps = [*gaussian((8, 8), 40)]
    whole = watched(steps)
    first = watched(steps[:17])
    model = measure_cases.Shifted(torch.full((D,), START))
    second = NoiseScaleMonitor(model, every=1)
    second.load_state_dict(first.state_dict())
    for micro_batches in steps[17:]:
        model.zero_grad()
        for batch in micro_batches:
            model(batch).mean().backward()
            second.micro_batch(len(batch))
        second.step()
    assert second.noise_scale == whole.noise_scale and second.average == whole.average
    assert second.n_steps == 40


def test_the_state_is_plain_data():
    import json

    state = watched(gaussian((8, 8), 12)).state_dict()
    monitor = NoiseScaleMonitor(measure_cases.Shifted(torch.zeros(D)))
    monitor.load_state_dict(json.loads(json.dumps(state)))
    assert monitor.state_dict() == state


def test_the_state_of_another_model_is_refused():
    monitor = NoiseScaleMonitor(measure_cases.mlp(), by_layer=True)
    expected = (
        "A monitor goes on from the state of one that watched the same layers (2), got 1 in format "
        "'batchlab.monitor/1'; make it with the same model and `by_layer`."
    )
    with pytest.raises(UsageError, match=f"^{re.escape(expected)}$"):
        monitor.load_state_dict(NoiseScaleMonitor(measure_cases.mlp()).state_dict())


def test_layers_that_were_not_asked_for_are_refused():
    expected = (
        "Noise scales by layer are kept only if asked for, and this monitor was not; make it with "
        "NoiseScaleMonitor(model, by_layer=True)."
    )
    with pytest.raises(UsageError, match=f"^{re.escape(expected)}$"):
        _ = NoiseScaleMonitor(measure_cases.mlp()).noise_scales_by_layer


def test_without_a_setting_it_measures_as_often_as_the_clock_allows(monkeypatch):
    # Steps of 2 s, a second more where measured: half of 2 s every 17 steps is 3 %.
    seconds = iter([float(second) for pair in range(50) for second in (5 * pair, 5 * pair + 3)])
    monkeypatch.setattr("time.perf_counter", lambda: next(seconds))
    model = measure_cases.Shifted(torch.full((D,), START))
    monitor = NoiseScaleMonitor(model)
    measured = []
    for micro_batches in gaussian((8, 8), 70):
        model.zero_grad()
        measured.append(monitor.due)
        for batch in micro_batches:
            model(batch).mean().backward()
            monitor.micro_batch(len(batch))
        monitor.step()
    assert [step for step, due in enumerate(measured) if due] == [*range(0, 34, 2), 34, 51, 68]
    assert monitor.every == 17 and monitor.average.window_examples == 16_000


def test_every_must_be_one_or_more():
    with pytest.raises(UsageError, match=r"^`every` must be 1 or more, got 0; use 1 to measure each step\.$"):
        NoiseScaleMonitor(measure_cases.mlp(), every=0)


def test_sharded_models_are_refused():
    class FSDPModule(nn.Linear):
        pass

    expected = (
        "The monitor reads whole gradients, but FSDPModule leaves each worker a shard of them; use it with "
        "DistributedDataParallel or on one device."
    )
    with pytest.raises(UsageError, match=f"^{re.escape(expected)}$"):
        NoiseScaleMonitor(nn.Sequential(FSDPModule(1, 1)))
