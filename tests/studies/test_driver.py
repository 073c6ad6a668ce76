import os
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from batchlab.studies.driver import SILENCE_S, is_alive, this_driver

LONG_AGO = time.time() - SILENCE_S - 1
has_proc = pytest.mark.skipif(not os.path.exists("/proc/self/stat"), reason="needs /proc")


def test_this_process_is_alive():
    assert is_alive(this_driver("now"))


@has_proc
def test_a_silent_process_on_this_machine_is_alive_while_it_exists():
    assert is_alive(replace(this_driver("now"), heartbeat=LONG_AGO))


@has_proc
def test_a_process_that_got_the_id_of_a_dead_one_is_not_it():
    driver = this_driver("now")
    assert not is_alive(replace(driver, process_start=driver.process_start + 1))


def test_a_process_that_ended_is_dead():
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    assert not is_alive(replace(this_driver("now"), pid=process.pid))
    assert not is_alive(replace(this_driver("now"), pid=process.pid, process_start=None))


@has_proc
def test_a_process_that_ended_and_was_not_reaped_is_dead():
    process = subprocess.Popen([sys.executable, "-c", "print(open('/proc/self/stat').read())"], stdout=subprocess.PIPE)
    start = int(process.stdout.read().rpartition(b")")[2].split()[19])
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert not is_alive(replace(this_driver("now"), pid=process.pid, process_start=start))
    process.stdout.close()
    process.wait()


@pytest.mark.parametrize(("age", "alive"), [(SILENCE_S - 20, True), (SILENCE_S + 1, False)])
def test_a_driver_on_another_machine_lives_by_its_heartbeat(age, alive):
    driver = replace(this_driver("now"), host="elsewhere", heartbeat=time.time() - age)
    assert is_alive(driver) is alive


def test_without_start_times_a_silent_driver_is_dead():
    assert not is_alive(replace(this_driver("now"), process_start=None, heartbeat=LONG_AGO))
