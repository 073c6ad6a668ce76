"""Which batch size should I train with? A measured answer, with an interval.

The public names are loaded when they are first used, so that `import batchlab` costs nothing.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from batchlab.adapt.accumulate import accumulate
    from batchlab.adapt.monitor import NoiseScaleMonitor
    from batchlab.api import Study, load_study, preview, resume, study
    from batchlab.measure.energy import measure_energy
    from batchlab.measure.host_memory import find_max_batch_size_on_host
    from batchlab.measure.max_batch_size import find_max_batch_size
    from batchlab.measure.speed import measure_speed
    from batchlab.numerics.comparisons import indifference_set
    from batchlab.numerics.gradient_moments import noise_moments
    from batchlab.numerics.lr_response import fit_lr_response
    from batchlab.numerics.noise_scale import estimate_noise_scale
    from batchlab.numerics.rules import scale_hyperparameters
    from batchlab.numerics.time_to_target import best_time_batch_size
    from batchlab.numerics.tradeoff import fit_tradeoff
    from batchlab.probes import Probe, probe
    from batchlab.simulate.noisy_quadratic import NoisyQuadratic
    from batchlab.workload import Metric, Workload
    from batchlab.workloads.loading import load_workload

    __version__: str

__all__ = [
    "Metric",
    "NoiseScaleMonitor",
    "NoisyQuadratic",
    "Probe",
    "Study",
    "Workload",
    "__version__",
    "accumulate",
    "best_time_batch_size",
    "estimate_noise_scale",
    "find_max_batch_size",
    "find_max_batch_size_on_host",
    "fit_lr_response",
    "fit_tradeoff",
    "indifference_set",
    "load_study",
    "load_workload",
    "measure_energy",
    "measure_speed",
    "noise_moments",
    "preview",
    "probe",
    "resume",
    "scale_hyperparameters",
    "study",
]

_PLACES = {
    "Metric": "batchlab.workload",
    "NoiseScaleMonitor": "batchlab.adapt.monitor",
    "NoisyQuadratic": "batchlab.simulate.noisy_quadratic",
    "Probe": "batchlab.probes",
    "Study": "batchlab.api",
    "Workload": "batchlab.workload",
    "accumulate": "batchlab.adapt.accumulate",
    "best_time_batch_size": "batchlab.numerics.time_to_target",
    "estimate_noise_scale": "batchlab.numerics.noise_scale",
    "find_max_batch_size": "batchlab.measure.max_batch_size",
    "find_max_batch_size_on_host": "batchlab.measure.host_memory",
    "fit_lr_response": "batchlab.numerics.lr_response",
    "fit_tradeoff": "batchlab.numerics.tradeoff",
    "indifference_set": "batchlab.numerics.comparisons",
    "load_study": "batchlab.api",
    "load_workload": "batchlab.workloads.loading",
    "measure_energy": "batchlab.measure.energy",
    "measure_speed": "batchlab.measure.speed",
    "noise_moments": "batchlab.numerics.gradient_moments",
    "preview": "batchlab.api",
    "probe": "batchlab.probes",
    "resume": "batchlab.api",
    "scale_hyperparameters": "batchlab.numerics.rules",
    "study": "batchlab.api",
}


# Hidden from type checkers, which would otherwise believe in any name.
if not TYPE_CHECKING:

    def __getattr__(name):
        """Return a public name, loading its module."""
        if name == "__version__":
            value = importlib.import_module("importlib.metadata").version("batchlab")
        elif name in _PLACES:
            value = getattr(importlib.import_module(_PLACES[name]), name)
        else:
            raise AttributeError(f"module 'batchlab' has no attribute {name!r}")
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
