import errno
import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from ninefold import storage
from ninefold.errors import RunError, StorageFull
from ninefold.storage import alone_in, cache_folder, remove_partial, write_bytes, write_text


def test_a_file_is_replaced_whole(tmp_path):
    write_text(tmp_path / "a", "old")
    write_text(tmp_path / "a", "new ü")
    assert (tmp_path / "a").read_text(encoding="utf-8") == "new ü"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_disk_that_is_really_full_leaves_the_old_file(tmp_path):
    write_text(tmp_path / "a", "old")
    (tmp_path / f".a.{os.getpid()}{storage.PARTIAL}").symlink_to("/dev/full")
    with pytest.raises(StorageFull, match="a could not be written: the disk is full"):
        write_bytes(tmp_path / "a", b"new" * 10_000)
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("a", "old")]


def test_a_small_file_system_that_fills_up_is_reported(tmp_path):
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(tmp_path)]
    try:
        done = subprocess.run(mount, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("this system has no command mount")
    if done.returncode:
        pytest.skip(f"mounting is not allowed here: {done.stderr.strip()}")
    try:
        write_bytes(tmp_path / "a", b"old" * 1000)
        with pytest.raises(StorageFull):
            write_bytes(tmp_path / "a", b"new" * 100_000)
        assert (tmp_path / "a").read_bytes() == b"old" * 1000
        assert [path.name for path in tmp_path.iterdir()] == ["a"]
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


def test_other_refusals_of_the_system_leave_nothing_behind(tmp_path, monkeypatch):
    def refuse(_handle):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(storage.os, "fsync", refuse)
    with pytest.raises(OSError, match="Input/output error"):
        write_bytes(tmp_path / "a", b"x")
    assert list(tmp_path.iterdir()) == []


def test_what_killed_writers_left_is_removed_and_nothing_else(tmp_path):
    for name in (".last.ckpt.17.partial", "last.ckpt", "notes.partial"):
        (tmp_path / name).touch()
    remove_partial(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"last.ckpt", "notes.partial"}


@contextmanager
def somebody_in(folder):
    """Have another process work in a folder until the block ends or kills it."""
    script = "import sys; from pathlib import Path; from ninefold.storage import alone_in\n"
    script += f"with alone_in(Path({str(folder)!r})): print('in', flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", script]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"in\n"
        yield process


def test_a_folder_where_another_process_works_is_refused_until_it_ends(tmp_path):
    with somebody_in(tmp_path / "run") as process:
        with pytest.raises(RunError, match=f"process {process.pid} is working in .*run; wait until it has ended"):
            alone_in(tmp_path / "run").__enter__()
        assert (tmp_path / "run" / storage.LOCK).read_text() == str(process.pid)
    with alone_in(tmp_path / "run"):
        write_text(tmp_path / "run" / "a", "")
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["a"]


def test_a_process_that_was_killed_keeps_nobody_out(tmp_path):
    with somebody_in(tmp_path) as process:
        process.kill()
    assert (tmp_path / storage.LOCK).exists()
    with alone_in(tmp_path):
        assert (tmp_path / storage.LOCK).read_text() == str(os.getpid())


def test_a_lock_that_is_removed_while_it_is_waited_for_is_none(tmp_path, monkeypatch):
    lock, opened = storage._lock, []

    def late(handle, path):
        if not opened:
            path.unlink()
        opened.append(handle)
        lock(handle, path)

    monkeypatch.setattr(storage, "_lock", late)
    with alone_in(tmp_path):
        assert (tmp_path / storage.LOCK).read_text() == str(os.getpid())
    assert len(opened) == 2


def test_folders_that_were_made_for_nothing_are_removed(tmp_path):
    with alone_in(tmp_path / "a" / "b"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_file_system_without_locks_keeps_nobody_out(tmp_path, monkeypatch):
    fcntl = pytest.importorskip("fcntl")

    def refuse(*_):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "lockf", refuse)
    with somebody_in(tmp_path), alone_in(tmp_path):
        assert (tmp_path / storage.LOCK).exists()


def test_the_cache_is_in_the_users_folder_unless_the_variable_names_another(tmp_path, monkeypatch):
    monkeypatch.setenv("NINEFOLD_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path
    monkeypatch.delenv("NINEFOLD_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder().name == "ninefold"
