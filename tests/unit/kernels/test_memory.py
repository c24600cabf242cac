"""What the C library keeps of freed memory, in processes that have freed little else."""

import platform
import subprocess
import sys

import pytest

PROGRAM = """
import ctypes
import resource
from ninefold.kernels.llvm.memory import keep_freed

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

if {keeps}:
    keep_freed()
library = ctypes.CDLL(None)
library.malloc.restype, library.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
library.free.argtypes = [ctypes.c_void_p]
for _ in range(4):
    before = faults()
    blocks = [library.malloc(2**20) for _ in range(24)]
    for block in blocks:
        ctypes.memset(block, 1, 2**20)
    for block in reversed(blocks):
        library.free(block)
print(faults() - before)
"""


def pages_that_came(keeps, monkeypatch):
    for name in ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES", "LD_PRELOAD"):
        monkeypatch.delenv(name, raising=False)
    text = PROGRAM.format(keeps=keeps)
    return int(subprocess.run([sys.executable, "-c", text], check=True, capture_output=True).stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is not glibc")
def test_freed_blocks_are_kept_for_the_next_ones(monkeypatch):
    assert pages_that_came(False, monkeypatch) > 1000
    assert pages_that_came(True, monkeypatch) < 100
