"""One process per device on this machine, where neither torchrun nor SLURM starts them."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from ninefold import errors
from ninefold.errors import InvalidInput, NinefoldError, RunError
from ninefold.training.report import Report

if TYPE_CHECKING:
    from ninefold.training.settings import Settings

_GRACE = 5.0
"""Seconds that the other processes get to end by themselves once one has failed."""


def is_main_process() -> bool:
    """Say whether this process writes: it is the only one, or the first one of torchrun, SLURM or `launch`."""
    return int(os.environ.get("RANK", os.environ.get("SLURM_PROCID", "0"))) == 0


def needs_launch(settings: Settings) -> bool:
    """Say whether several processes are wanted and nobody has started them.

    Raises:
        InvalidInput: when they would be on several nodes, which only a launcher can reach.
    """
    from lightning.pytorch.plugins.environments import SLURMEnvironment

    if settings.processes == 1 or "LOCAL_RANK" in os.environ or SLURMEnvironment.detect():
        return False
    if settings.nodes > 1:
        raise InvalidInput(
            f"nodes={settings.nodes} needs a process on every node; start the same command there with torchrun or srun"
        )
    return True


def launch(settings: Settings, out: Path, *, resume: bool, progress: str) -> Report:
    """Train in `settings.devices` new processes of this machine and wait for them.

    Args:
        settings: of the run.
        out: the run folder.
        resume: as in `train`.
        progress: of the first process; the others show nothing.

    Raises:
        NinefoldError: what the first failing process raised.
        RunError: when a process ended without a word.
        KeyboardInterrupt: on Ctrl-C, after the processes have ended.
    """
    port = _free_port()
    request = {"settings": settings.to_yaml(), "out": str(out), "resume": resume, "progress": progress}
    outcomes, workers = [], []
    with TemporaryDirectory() as folder, ExitStack() as started:
        try:
            for rank in range(settings.devices):
                outcomes.append(Path(folder) / f"{rank}.json")
                order = request | {"outcome": str(outcomes[rank])}
                workers.append(started.enter_context(_start(order, rank, settings.devices, port)))
            _wait(workers)
        except KeyboardInterrupt as interrupt:
            _interrupt(workers)
            raise KeyboardInterrupt(f"stopped; go on with: --resume --out {out}") from interrupt
        finally:
            for worker in workers:
                worker.kill()
        return _result(outcomes, [worker.wait() for worker in workers], out)


def _start(request: dict[str, Any], rank: int, world: int, port: int) -> subprocess.Popen[bytes]:
    threads = max(1, (os.cpu_count() or 1) // world)
    environment = {
        "OMP_NUM_THREADS": str(threads),
        "OMP_WAIT_POLICY": "PASSIVE",  # threads that wait by spinning would take the other processes' time
        **os.environ,
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "NODE_RANK": "0",
        "WORLD_SIZE": str(world),
    }
    command = [sys.executable, "-m", "ninefold.training.worker", json.dumps(request)]
    # The pipe to standard input closes when this process is killed, which tells the workers to end; a session of their
    # own keeps Ctrl-C from reaching them twice; gloo greets on standard output, where only results belong.
    return subprocess.Popen(  # noqa: S603  # the command is this very Python and a module of this package
        command,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=None if rank == 0 else subprocess.DEVNULL,
        start_new_session=True,
    )


def _wait(workers: list[subprocess.Popen[bytes]]) -> None:
    """Wait until all have ended, or until one has failed and the others had time to."""
    failed_at: float | None = None
    while any(worker.poll() is None for worker in workers):
        if failed_at is None and any(worker.poll() for worker in workers):
            failed_at = time.monotonic()
        if failed_at is not None and time.monotonic() - failed_at > _GRACE:
            return
        time.sleep(0.05)


def _interrupt(workers: list[subprocess.Popen[bytes]]) -> None:
    for worker in workers:
        worker.send_signal(signal.SIGINT)
    deadline = time.monotonic() + 2 * _GRACE
    while any(worker.poll() is None for worker in workers) and time.monotonic() < deadline:
        time.sleep(0.05)


def _result(outcomes: list[Path], codes: list[int], out: Path) -> Report:
    told = [json.loads(path.read_text()) for path in outcomes if path.exists()]
    if not any(codes):
        return Report(**told[0]["report"])
    # One process that fails makes the others fail too, by a broken connection: what Ninefold says comes first.
    failures = sorted((t for t in told if "error" in t), key=lambda failure: failure["error"] not in errors.__dict__)
    if not failures:
        raise RunError(f"the training processes ended with the codes {codes}; go on with: --resume --out {out}")
    raise _error(failures[0])


def _error(failure: dict[str, str]) -> NinefoldError:
    kind = errors.__dict__.get(failure["error"])
    if kind is None:
        error = RunError(f"a training process failed: {failure['error']}: {failure['message']}")
    else:
        error = kind(failure["message"])
    error.add_note(failure["trace"])
    return error


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
