"""Counters of energy: those of processor packages and memory (RAPL), and those of a GPU (NVML, nvidia-smi)."""

import importlib
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

POWERCAP = Path("/sys/class/powercap")
# Parts of a package are in its counter already, and the platform's counter has it all in once more.
COUNTED_ZONES = ("package", "dram")


@dataclass(frozen=True, slots=True)
class EnergyCounter:
    """A part of the machine and the joules it has taken since some moment: only differences mean something."""

    name: str
    read: Callable[[], float]


@dataclass(frozen=True, slots=True)
class EnergyCounters:
    """The counters that can be read, and a sentence for each that was looked for in vain."""

    found: tuple[EnergyCounter, ...]
    missing: tuple[str, ...]


def energy_counters(powercap: Path = POWERCAP) -> EnergyCounters:
    """Return the counters of everything that takes part in a step: the processors, and the GPU that is in use.

    They count whatever runs there, not this process alone.

    Args:
        powercap: where Linux shows the zones of RAPL.
    """
    outcomes = [*_rapl(powercap)]
    if torch.cuda.is_available() and torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        outcomes.append(_gpu())
    else:
        outcomes.append("NVML: no GPU is in use.")
    found = tuple(one for one in outcomes if isinstance(one, EnergyCounter))
    return EnergyCounters(found, tuple(one for one in outcomes if isinstance(one, str)))


def rapl_counter(zone: Path) -> EnergyCounter:
    """Return the counter of a zone of RAPL, in joules that go on rising where the counter of the hardware wraps around.

    It must be read at least once in a turn, which takes minutes or more.

    Args:
        zone: its folder, with `name`, `energy_uj` and `max_energy_range_uj`.
    """
    turn = int((zone / "max_energy_range_uj").read_text())
    last, total = int((zone / "energy_uj").read_text()), 0

    def read() -> float:
        nonlocal last, total
        now = int((zone / "energy_uj").read_text())
        total += now - last if now >= last else now - last + turn
        last = now
        return total / 1e6

    return EnergyCounter(f"{(zone / 'name').read_text().strip()} ({zone.name})", read)


def nvml_counter(nvml: Any, uuid: str) -> EnergyCounter:
    """Return the counter of a GPU, Volta or newer, out of the module `pynvml`."""
    nvml.nvmlInit()
    handle = nvml.nvmlDeviceGetHandleByUUID(uuid)
    # Fails here, rather than later, where the device has none.
    nvml.nvmlDeviceGetTotalEnergyConsumption(handle)
    return EnergyCounter("GPU (NVML)", lambda: nvml.nvmlDeviceGetTotalEnergyConsumption(handle) / 1000)


def smi_counter(
    uuid: str, ask: Callable[[str], float] | None = None, clock: Callable[[], float] = time.perf_counter
) -> EnergyCounter:
    """Return the integral of a GPU's power as `nvidia-smi` samples it, by the trapezoid rule between two readings."""
    ask = ask or _power_w
    at, power, total = clock(), ask(uuid), 0.0

    def read() -> float:
        nonlocal at, power, total
        now, drawn = clock(), ask(uuid)
        total += (now - at) * (power + drawn) / 2
        at, power = now, drawn
        return total

    return EnergyCounter("GPU (power sampled by nvidia-smi)", read)


def _rapl(powercap: Path) -> Iterator[EnergyCounter | str]:
    zones = [zone for zone in sorted(powercap.glob("intel-rapl*:*")) if _name(zone).startswith(COUNTED_ZONES)]
    if not zones:
        yield f"RAPL: {powercap} shows no processor package; virtual machines and containers seldom do."
    for zone in zones:
        try:
            yield rapl_counter(zone)
        except PermissionError:
            yield f"RAPL: {zone / 'energy_uj'} may be read by root only; allow it with `sudo chmod a+r` on that file."
        except (OSError, ValueError) as error:
            yield f"RAPL: {zone / 'energy_uj'} cannot be read ({error})."


def _name(zone: Path) -> str:
    try:
        return (zone / "name").read_text()
    except OSError:
        return ""


def _gpu() -> EnergyCounter | str:
    uuid = f"GPU-{torch.cuda.get_device_properties(torch.cuda.current_device()).uuid}"
    try:
        return nvml_counter(importlib.import_module("pynvml"), uuid)
    except Exception as error:
        why = str(error)
    try:
        return smi_counter(uuid)
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        return f"NVML: neither pynvml ({why}) nor nvidia-smi ({error}) gives the energy of {uuid}."


def _power_w(uuid: str) -> float:
    command = ["nvidia-smi", "-i", uuid, "--query-gpu=power.draw", "--format=csv,noheader,nounits"]
    return float(subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout)
