"""The gradient noise scale while a user's own loop trains, at a few per cent of its time."""

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from batchlab.adapt.gradient_taps import GradientTaps
from batchlab.adapt.measuring_pace import MeasuringPace
from batchlab.adapt.noise_window import NoiseWindow, add_step, noise_scale_of, window_from
from batchlab.adapt.step_moments import Moments, StepNorms, step_moments
from batchlab.adapt.workers import largest_over_workers
from batchlab.errors import UsageError
from batchlab.measure.batches import count_examples, in_chunks
from batchlab.measure.coupling import coupling_module
from batchlab.measure.gradients import layer_of, trained_parameters
from batchlab.measure.squared_norms import squared_norms
from batchlab.numerics.gradient_moments import add_noise_moments
from batchlab.numerics.noise_average import NoiseAverage, update_noise_average
from batchlab.numerics.noise_scale import NoiseScale

# Two halves cost least, and their signal is nearly as precise as that of more parts.
DEFAULT_PARTS = 2
# Training steps that the window holds where nothing else is asked for.
WINDOW_STEPS = 1000
FORMAT = "batchlab.monitor/1"
SHARDED = ("FullyShardedDataParallel", "FSDPModule")


class NoiseScaleMonitor:
    """Measures tr(Σ)/|G|² from the micro-batches of training steps.

        monitor = NoiseScaleMonitor(model)
        for micro in micro_batches:
            loss(model(micro)).backward()
            monitor.micro_batch(len(micro))
        monitor.step()
        optimizer.step()
        print(monitor.noise_scale)

    Three ways to have two or more micro-batches in a step:

    - *Accumulation*, as above. Say with `loss_divisor` what each mean loss is divided by before `backward()`, or, where
      it differs, with `loss_weight` at each micro-batch; weights in proportion to examples are best, as they make the
      gradient of the whole batch. Any others are accounted for.
    - *DistributedDataParallel*: pass the wrapped model; each worker's gradient counts as a micro-batch, of its own
      accumulation too. The workers then add some ten numbers in each measured step.
    - *One device, no accumulation*: on a measured step, and only then, `parts` splits the batch.

          for part, weight in monitor.parts(batch):
              (weight * loss(model(part))).backward()
              monitor.micro_batch(len(part), loss_weight=weight)
          monitor.step()

      Steps are no substitute for micro-batches: between them the parameters move.

    `step()` comes after the last backward pass and before gradients are unscaled or clipped. Frozen parameters are left
    out, shared ones count once, unused ones as zero. A step whose gradient is not finite is skipped. Batch
    normalization is fine with accumulation, where each micro-batch is normalized by itself whether it is measured or
    not; the noise scale is then that of this micro-batch size. Dropout in training mode is part of the noise.
    Examples must come in random order. Where a mean loss is over something else (tokens that are not padding, or the
    sum of class weights by which `nn.CrossEntropyLoss(weight=...)` divides), weigh each micro-batch by its share of
    those counts, with `loss_weight`, for the gradient of the whole batch; `n_examples` is the number of examples still.
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        every: int | None = None,
        loss_divisor: float = 1.0,
        scale: Callable[[], float] | torch.amp.GradScaler | None = None,
        window_examples: float | None = None,
        by_layer: bool = False,
    ) -> None:
        """Watch a model; nothing is added to its steps but those measured.

        Args:
            model: what is trained, wrapped in DistributedDataParallel where it is.
            every: measure each so-many-th step, beginning with the first. By default it aims at 3 % of the
                time, found by timing the first 34 steps, of which every second is measured; the clock is in it, so
                give a number where a run must repeat exactly.
            loss_divisor: what each micro-batch's mean loss is divided by before `backward()`; the number of
                micro-batches in many loops.
            scale: the factor that mixed precision multiplies losses with: the GradScaler, or a function that returns
                it; read once in a measured step.
            window_examples: how far back `noise_scale` and `average` look; by default 1,000 steps' worth.
            by_layer: also keep the noise scale of each module.
        """
        self._pace_setting = None if every is None else _at_least_one(every)
        self.loss_divisor = loss_divisor
        self._model, self._scale, self._window_examples = model, scale, window_examples
        self._group = model.process_group if isinstance(model, DistributedDataParallel) else None
        inner = model.module if isinstance(model, DistributedDataParallel) else model
        _check_not_sharded(inner)
        parameters = trained_parameters(inner)
        layers = [layer_of(name) if by_layer else "" for name in parameters]
        self.layers = tuple(dict.fromkeys(layers))
        # A module's own parameters follow one another, so each layer is a stretch of them.
        self._layer_starts = [layers.index(layer) for layer in self.layers]
        self._parameters = tuple(parameters.values())
        self._taps = GradientTaps(self._parameters)
        self._window: NoiseWindow | None = None
        self._average: NoiseAverage | None = None
        self.n_steps = self.n_skipped = 0
        self._steps_since, self._examples_since = 0, 0.0
        self._noted, self._versions = StepNorms(), 0
        self._pace = self._new_pace()
        self._prepare()

    @property
    def every(self) -> int:
        """From how many steps one is measured; 2 while the default is being found."""
        return self._pace.every

    @property
    def due(self) -> bool:
        """Whether the step under way is measured."""
        return self._pace.due(self.n_steps)

    @property
    def noise_scale(self) -> NoiseScale:
        """The noise scale over the window, with its interval over blocks of ten training steps or more."""
        return self._noise_scale(None)

    @property
    def noise_scales_by_layer(self) -> dict[str, NoiseScale]:
        """The noise scale of each module that holds parameters; needs `by_layer=True`."""
        if self.layers == ("",):
            raise UsageError(
                "Noise scales by layer are kept only if asked for, and this monitor was not; make it with "
                "NoiseScaleMonitor(model, by_layer=True)."
            )
        return {layer: self._noise_scale(index) for index, layer in enumerate(self.layers)}

    @property
    def average(self) -> NoiseAverage | None:
        """Trace and signal that fade with the examples seen, for schedules; None before the first measured step."""
        return self._average

    def parts(self, batch: Any, n_parts: int = DEFAULT_PARTS) -> Iterator[tuple[Any, float]]:
        """Yield (part, loss weight): a measured step's batch in `n_parts`, any other as it is with weight 1.

        The sum of the weighted losses is the mean loss of the batch, so that the step stays what it was. Under
        DistributedDataParallel the workers' batches are parts already.

        Raises:
            UsageError: a batch normalization would normalize the parts instead of the batch.
        """
        if not self.due or self._group is not None:
            yield batch, 1.0
            return
        name = coupling_module(self._model)
        if name is not None:
            raise UsageError(
                f"Splitting a batch leaves a step as it is only where examples do not see one another, but module "
                f"{name!r} normalizes over the batch; train with accumulated micro-batches, so that each is normalized "
                "by itself anyway, or with GroupNorm."
            )
        n_examples = count_examples(batch)
        for part in in_chunks(batch, -(-n_examples // n_parts)):
            yield part, count_examples(part) / n_examples

    def micro_batch(self, n_examples: int, *, loss_weight: float | None = None) -> None:
        """Note a micro-batch, right after its backward pass.

        Args:
            n_examples: its examples.
            loss_weight: the factor its mean loss had; 1/loss_divisor by default.
        """
        self._examples_since += n_examples
        if not self.due:
            return
        weight = 1 / self.loss_divisor if loss_weight is None else loss_weight
        self._noted.add(self._taps.take(), n_examples, weight)
        self._versions = self._gradient_versions()

    def step(self) -> None:
        """End the step: after its last backward pass, before unscaling, clipping and the optimizer."""
        self._steps_since += 1
        if self.due:
            self._measure()
        self.n_steps += 1
        self._pace.step_ended(self.n_steps)
        self._prepare()

    def state_dict(self) -> dict[str, Any]:
        """Return all that is needed to go on, as plain data; between steps."""
        return {
            "format": FORMAT,
            "layers": list(self.layers),
            "window": None if self._window is None else dataclasses.asdict(self._window),
            "average": None if self._average is None else dataclasses.asdict(self._average),
            "counts": [self.n_steps, self.n_skipped, self._steps_since, self._examples_since],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a `state_dict`; settings such as `every` stay those of this monitor.

        Raises:
            UsageError: it is that of a monitor of other layers.
        """
        if state.get("format") != FORMAT or state["layers"] != list(self.layers):
            raise UsageError(
                f"A monitor goes on from the state of one that watched the same layers ({len(self.layers)}), got "
                f"{len(state.get('layers', ()))} in format {state.get('format')!r}; make it with the same model and "
                "`by_layer`."
            )
        self._window = None if state["window"] is None else window_from(state["window"])
        self._average = None if state["average"] is None else NoiseAverage(**state["average"])
        self.n_steps, self.n_skipped, self._steps_since, self._examples_since = state["counts"]
        self._pace = self._new_pace()
        self._prepare()

    def close(self) -> None:
        """Take all hooks off the model."""
        self._taps.close()

    def _prepare(self) -> None:
        """Get ready for the next step."""
        self._noted = StepNorms()
        self._taps.open() if self.due else self._taps.close()

    def _measure(self) -> None:
        if not self._noted.weights:
            raise UsageError(
                "`monitor.step` comes after the micro-batches of a step, but none was noted; call "
                "`monitor.micro_batch(n)` after each backward pass."
            )
        self._check_unchanged()
        gradients = [torch.zeros_like(p[:0]) if p.grad is None else p.grad for p in self._parameters]
        own_examples = sum(self._noted.n_examples)
        norms, scale = squared_norms(gradients), self._read_scale()
        found = step_moments(self._noted, norms, self._layer_starts, scale=scale, group=self._group)
        if found.by_layer is None:
            self.n_skipped += 1
            self._steps_since, self._examples_since = 0, 0.0
        elif found.by_layer:
            self._add(found.by_layer, self._examples_since * found.n_examples / own_examples)
        elif self._window is None:
            raise UsageError(
                "A noise scale needs two or more micro-batches in a step, got 1; accumulate, or split measured steps "
                "with `for part, weight in monitor.parts(batch)`."
            )

    def _add(self, moments: tuple[Moments, ...], n_examples: float) -> None:
        if self._window is None or self._average is None:
            window = self._window_examples or WINDOW_STEPS * n_examples / self._steps_since
            self._window, self._average = NoiseWindow(window), NoiseAverage(window)
        self._window = add_step(self._window, moments, self._steps_since, n_examples)
        self._average = update_noise_average(self._average, *add_noise_moments(moments), round(n_examples))
        self._steps_since, self._examples_since = 0, 0.0

    def _noise_scale(self, layer: int | None) -> NoiseScale:
        return noise_scale_of(self._window or NoiseWindow(float("inf")), layer=layer)

    def _read_scale(self) -> float:
        if self._scale is None:
            return 1.0
        return float(self._scale.get_scale() if isinstance(self._scale, torch.amp.GradScaler) else self._scale())

    def _new_pace(self) -> MeasuringPace:
        device = self._parameters[0].device
        return MeasuringPace(
            self._pace_setting,
            settle=lambda: torch.cuda.synchronize(device) if device.type == "cuda" else None,
            agree=lambda added: largest_over_workers(added, device, self._group),
        )

    def _gradient_versions(self) -> int:
        """Return a number that changes with every change in place of an accumulated gradient."""
        return sum(p.grad._version for p in self._parameters if p.grad is not None)

    def _check_unchanged(self) -> None:
        if self._gradient_versions() != self._versions:
            raise UsageError(
                "`monitor.step` needs the gradients as the backward passes left them, but they were changed since the "
                "last `monitor.micro_batch`; call it before unscaling, clipping and `zero_grad`."
            )


def _at_least_one(every: int) -> int:
    if every < 1:
        raise UsageError(f"`every` must be 1 or more, got {every}; use 1 to measure each step.")
    return every


def _check_not_sharded(model: nn.Module) -> None:
    for module in model.modules():
        name = next((kind.__name__ for kind in type(module).__mro__ if kind.__name__ in SHARDED), None)
        if name is not None:
            raise UsageError(
                f"The monitor reads whole gradients, but {name} leaves each worker a shard of them; use it with "
                "DistributedDataParallel or on one device."
            )
