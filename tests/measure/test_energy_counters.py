import subprocess
from pathlib import Path

import pytest
import torch

from batchlab.measure import energy_counters as module
from batchlab.measure.energy_counters import energy_counters, nvml_counter, rapl_counter, smi_counter

NO_GPU = "NVML: no GPU is in use."


def zone(root: Path, folder: str, name: str, energy: int = 0, turn: int = 1_000_000_000) -> Path:
    place = root / folder
    place.mkdir(parents=True)
    (place / "name").write_text(f"{name}\n")
    (place / "energy_uj").write_text(f"{energy}\n")
    (place / "max_energy_range_uj").write_text(f"{turn}\n")
    return place


def test_packages_and_memory_are_counted_once(tmp_path: Path) -> None:
    zone(tmp_path, "intel-rapl:0", "package-0")
    zone(tmp_path, "intel-rapl:0:0", "core")
    zone(tmp_path, "intel-rapl:0:1", "dram")
    zone(tmp_path, "intel-rapl:1", "psys")
    (tmp_path / "intel-rapl").mkdir()
    counters = energy_counters(tmp_path)
    assert [one.name for one in counters.found] == ["package-0 (intel-rapl:0)", "dram (intel-rapl:0:1)"]
    assert counters.missing == (NO_GPU,)


def test_joules_go_on_rising_where_the_counter_wraps_around(tmp_path: Path) -> None:
    place = zone(tmp_path, "intel-rapl:0", "package-0", energy=900_000_000)
    counter, joules = rapl_counter(place), []
    for energy in (950_000_000, 20_000_000, 30_000_000, 10_000_000):
        (place / "energy_uj").write_text(str(energy))
        joules.append(counter.read())
    assert joules == [50, 120, 130, 1110]


def test_where_there_is_no_counter_it_is_said_what_was_looked_for(tmp_path: Path) -> None:
    assert energy_counters(tmp_path).missing == (
        f"RAPL: {tmp_path} shows no processor package; virtual machines and containers seldom do.",
        NO_GPU,
    )


def test_a_counter_for_root_only_is_named_with_what_to_do(tmp_path: Path, monkeypatch) -> None:
    place = zone(tmp_path, "intel-rapl:0", "package-0")

    def refuse(where: Path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(module, "rapl_counter", refuse)
    counters = energy_counters(tmp_path)
    assert counters.found == ()
    assert counters.missing[0] == (
        f"RAPL: {place}/energy_uj may be read by root only; allow it with `sudo chmod a+r` on that file."
    )


class FakeNvml:
    """What `pynvml` gives of a GPU that takes 250 J between any two readings."""

    taken = 0

    def nvmlInit(self) -> None:
        pass

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> str:
        return uuid

    def nvmlDeviceGetTotalEnergyConsumption(self, handle: str) -> int:
        self.taken += 250_000
        return self.taken


def test_the_millijoules_of_a_gpu_become_joules() -> None:
    counter = nvml_counter(FakeNvml(), "GPU-1")
    assert -(counter.read() - counter.read()) == 250


def test_sampled_power_is_integrated() -> None:
    powers, times = iter([100.0, 200.0, 200.0]), iter([0.0, 2.0, 3.0])
    counter = smi_counter("GPU-1", lambda uuid: next(powers), lambda: next(times))
    assert (counter.read(), counter.read()) == (300.0, 500.0)


@pytest.mark.parametrize("with_smi", [True, False])
def test_without_pynvml_a_gpu_in_use_is_asked_through_nvidia_smi(tmp_path: Path, monkeypatch, with_smi: bool) -> None:
    class Properties:
        uuid = "1234"

    def run(command, **keywords):
        if not with_smi:
            raise FileNotFoundError("no nvidia-smi")
        assert command[:3] == ["nvidia-smi", "-i", "GPU-1234"]
        return subprocess.CompletedProcess(command, 0, stdout="123.4\n")

    def missing(name: str):
        raise ModuleNotFoundError(f"No module named {name!r}")

    for name, answer in {
        "is_available": lambda: True,
        "is_initialized": lambda: True,
        "current_device": lambda: 0,
        "get_device_properties": lambda index: Properties,
    }.items():
        monkeypatch.setattr(torch.cuda, name, answer)
    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr(module.importlib, "import_module", missing)
    counters = energy_counters(tmp_path)
    if with_smi:
        assert [one.name for one in counters.found] == ["GPU (power sampled by nvidia-smi)"]
    else:
        assert counters.missing[-1] == (
            "NVML: neither pynvml (No module named 'pynvml') nor nvidia-smi (no nvidia-smi) gives the energy of "
            "GPU-1234."
        )
