"""Workers start once, help whoever runs a plan, rest when there is none, and survive forks, ends and crowds."""

import os
import subprocess
import sys
import threading
import time
from functools import cache

import numpy as np
import pytest

from ninefold.kernels.llvm import interpreter, workers
from ninefold.kernels.llvm import plan as planning
from ninefold.kernels.llvm.compiled import library
from ninefold.kernels.llvm.memory import buffer
from ninefold.kernels.llvm.plan import Plan, Step
from ninefold.kernels.llvm.target import Target, host
from ninefold.kernels.llvm.workers import Team, team

COUNT_UP = """
define void @count_up(ptr %x, ptr %w, ptr %b, ptr %y, ptr %r, ptr %s, i64 %a0, i64 %a1, i64 %b0, i64 %b1) {
entry:
  br label %unit
unit:
  %a = phi i64 [ %a0, %entry ], [ %next, %unit ]
  %place = getelementptr float, ptr %y, i64 %a
  %old = load float, ptr %place
  %new = fadd float %old, 1.0
  store float %new, ptr %place
  %next = add i64 %a, 1
  %more = icmp slt i64 %next, %a1
  br i1 %more, label %unit, label %done
done:
  ret void
}
"""


@cache
def count_up():
    return library(COUNT_UP, ("count_up",), host())


class Counters:
    """A plan that counts every unit of its grid up, once per step."""

    def __init__(self, units, steps, threads):
        self.values = buffer(units)
        step = Step(count_up().addresses["count_up"], (units, 1), y=self.values.ctypes.data, chunk=(7, 1))
        self.plan = Plan([step] * steps, threads)
        self.steps = steps

    def check(self, runs):
        for _ in range(runs):
            self.plan.run()
        np.testing.assert_array_equal(self.values, np.float32(runs * self.steps))


def script(text):
    """Run a script that has this file's names, in a process of its own."""
    head = f"from runpy import run_path; globals().update(run_path({__file__!r}))\n"
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", head + text]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize("threads", [1, 2, 4, 8])
def test_thousands_of_tiny_plans(threads):
    Counters(30, 2, threads).check(2000)


@pytest.mark.parametrize("threads", [2, 8])
def test_workers_that_wait_in_python_compute_the_same(monkeypatch, threads):
    portable = Team(native=False)
    monkeypatch.setattr(planning, "team", lambda: portable)
    Counters(100, 5, threads).check(200)
    portable.dismiss()


def test_the_code_for_other_systems_and_processors_computes_the_same(monkeypatch):
    monkeypatch.setattr(Target, "is_x86", False)
    monkeypatch.setattr(interpreter, "sleeps_natively", lambda: False)
    portable = library(interpreter._text(host()), interpreter.ENTRIES, host())
    monkeypatch.setattr(workers, "interpreter", lambda: portable)
    others = Team(native=False)
    monkeypatch.setattr(planning, "team", lambda: others)
    Counters(100, 5, 2).check(100)
    others.dismiss()


def test_workers_sleep_between_runs_and_wake_again():
    counters = Counters(1000, 3, 4)
    for run in range(1, 20):
        counters.plan.run()
        time.sleep(0.004)
        assert (counters.values == 3 * run).all()


def test_an_idle_process_uses_no_processor():
    Counters(1000, 3, 4).check(10)
    time.sleep(0.1)
    before = time.process_time()
    time.sleep(0.5)
    assert time.process_time() - before < 0.1


def test_many_python_threads_may_run_plans_of_their_own_at_once():
    everything = [Counters(200, 10, threads) for threads in (1, 2, 2, 3, 4)]
    failures = []

    def run(counters):
        try:
            counters.check(300)
        except AssertionError as failure:
            failures.append(failure)

    callers = [threading.Thread(target=run, args=(counters,)) for counters in everything]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert not failures


def test_many_python_threads_may_run_the_same_plan():
    counters = Counters(200, 10, 2)
    callers = [threading.Thread(target=lambda: [counters.plan.run() for _ in range(100)]) for _ in range(4)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert (counters.values == 4 * 100 * 10).all()


def test_a_run_holds_no_lock_of_python():
    counters = Counters(20_000_000, 3, 1)
    counters.plan.run()
    seen = []
    caller = threading.Thread(target=counters.plan.run)
    caller.start()
    while caller.is_alive():
        seen.append(time.perf_counter())
    assert len(seen) > 100  # without, this thread would get a turn only before and after


def test_a_busy_team_refuses_and_does_nothing():
    counters = Counters(10, 1, 2)
    with team()._busy:
        assert not team().run(counters.plan._memory.ctypes.data, 2)
        assert not counters.values.any()
        counters.check(3)  # alone


def test_dismissed_workers_end_and_new_ones_start():
    counters = Counters(100, 2, 3)
    counters.plan.run()
    old = [worker.thread for worker in team()._workers]
    assert len(old) >= 2
    team().dismiss()
    assert not any(thread.is_alive() for thread in old)
    counters.plan.run()
    assert (counters.values == 4).all()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("busy", [False, True])
def test_a_forked_process_gets_its_own_workers(busy):
    done = script(f"""
import os, threading
counters, long = Counters(100, 3, 4), Counters(1_000_000, 20, 2)
counters.check(10)
if {busy}:
    threading.Thread(target=lambda: [long.plan.run() for _ in range(10**6)], daemon=True).start()
    time.sleep(0.05)
child = os.fork()
if child == 0:
    for both in (counters, long):
        both.values[:] = 0
        both.check(3)
    os._exit(7)
assert os.waitpid(child, 0)[1] >> 8 == 7
counters.values[:] = 0
counters.check(10)
print("well")
""")
    assert (done.returncode, done.stdout) == (0, "well\n"), done.stderr


@pytest.mark.parametrize("end", ["", "sys.exit(0)", "import os; os._exit(0)"])
@pytest.mark.parametrize("rest", [0.0, 0.02])
def test_a_process_ends_quietly_with_workers_awake_or_asleep(end, rest):
    done = script(f"import sys; Counters(100, 3, 4).check(10); time.sleep({rest}); {end}")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_process_ends_while_another_thread_runs_a_plan():
    done = script("""
long = Counters(50_000_000, 100, 2)
threading.Thread(target=long.plan.run, daemon=True).start()
time.sleep(0.05)
""")
    assert (done.returncode, done.stderr) == (0, "")
