import os
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from batchlab.studies.driver import SILENCE_S, is_alive, sign_of, this_driver

NOW = time.time()
LONG_AGO = NOW - SILENCE_S - 1
has_proc = pytest.mark.skipif(not os.path.exists("/proc/self/stat"), reason="needs /proc")


def lives(driver):
    return is_alive(driver, NOW)


def test_this_process_is_alive():
    assert lives(this_driver("now", NOW))


@has_proc
def test_a_silent_process_on_this_machine_is_alive_while_it_exists():
    assert lives(replace(this_driver("now", NOW), heartbeat=LONG_AGO))


@has_proc
def test_a_process_that_got_the_id_of_a_dead_one_is_not_it():
    driver = this_driver("now", NOW)
    assert not lives(replace(driver, process_start=driver.process_start + 1))


def test_a_process_that_ended_is_dead():
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    assert not lives(replace(this_driver("now", NOW), pid=process.pid))
    assert not lives(replace(this_driver("now", NOW), pid=process.pid, process_start=None))


@has_proc
def test_a_process_that_ended_and_was_not_reaped_is_dead():
    process = subprocess.Popen([sys.executable, "-c", "print(open('/proc/self/stat').read())"], stdout=subprocess.PIPE)
    start = int(process.stdout.read().rpartition(b")")[2].split()[19])
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert not lives(replace(this_driver("now", NOW), pid=process.pid, process_start=start))
    process.stdout.close()
    process.wait()


@pytest.mark.parametrize(("age", "alive"), [(SILENCE_S - 20, True), (SILENCE_S + 1, False)])
def test_a_driver_on_another_machine_lives_by_its_heartbeat(age, alive):
    driver = replace(this_driver("now", NOW), host="elsewhere", heartbeat=NOW - age)
    assert lives(driver) is alive


def test_without_start_times_a_silent_driver_is_dead():
    assert not lives(replace(this_driver("now", NOW), process_start=None, heartbeat=LONG_AGO))


@pytest.mark.parametrize("age", [-3600, 3600])
def test_a_clock_that_was_set_says_nothing_of_a_driver_elsewhere(age):
    assert sign_of(replace(this_driver("now", NOW), host="elsewhere", heartbeat=NOW - age), NOW) == "silent"


@has_proc
@pytest.mark.parametrize("age", [-3600, 3600])
def test_a_clock_that_was_set_does_not_hide_a_driver_here(age):
    assert sign_of(replace(this_driver("now", NOW), heartbeat=NOW - age), NOW) == "alive"


@has_proc
@pytest.mark.parametrize("age", [-3600, 3600])
def test_a_clock_that_was_set_does_not_revive_a_dead_driver_here(age):
    driver = this_driver("now", NOW)
    dead = replace(driver, process_start=driver.process_start + 1, heartbeat=NOW - age)
    assert sign_of(dead, NOW) == "dead"


@has_proc
def test_a_machine_of_the_same_name_is_another_machine():
    driver = this_driver("now", NOW)
    elsewhere = replace(driver, machine="another boot", pid=1, process_start=1)
    assert lives(elsewhere)
    assert not lives(replace(elsewhere, machine=driver.machine))


@has_proc
def test_a_driver_of_an_earlier_version_is_known_by_its_host():
    assert lives(replace(this_driver("now", NOW), machine="", owner="", heartbeat=LONG_AGO))


def test_a_user_without_a_name_has_a_number(monkeypatch):
    def nameless():
        raise OSError("no such user")

    monkeypatch.setattr("getpass.getuser", nameless)
    assert this_driver("now", NOW).owner == f"user {os.getuid()}"
