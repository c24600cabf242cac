"""What all kernels share, and the pages that the tests of kernels count on."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ninefold.errors import InvalidSpec
from ninefold.kernels.llvm.convert import ClearBorder, ToBlocks
from ninefold.kernels.llvm.kernel import blocks_of, build
from ninefold.kernels.llvm.layout import Blocked
from ninefold.kernels.llvm.target import host

OUTSIDE = """
import ctypes, importlib.util, sys
spec = importlib.util.spec_from_file_location("helpers", {conftest!r})
sys.modules["helpers"] = helpers = importlib.util.module_from_spec(spec)
spec.loader.exec_module(helpers)
buffer = helpers.Guarded(5, at_end={at_end})
print(ctypes.c_float.from_address(buffer.address + buffer.bytes - 4).value, flush=True)
ctypes.c_float.from_address(buffer.address + {offset}).value
"""


@pytest.mark.parametrize(("at_end", "offset"), [(True, 64), (False, -4)])
def test_who_leaves_a_guarded_buffer_dies(at_end, offset):
    conftest = str(Path(__file__).with_name("conftest.py"))
    code = OUTSIDE.format(conftest=conftest, at_end=at_end, offset=offset)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "nan"
    assert done.returncode in (-signal.SIGSEGV, -signal.SIGBUS)


def test_a_name_says_the_kind_and_differs_with_any_field():
    one, two = (Blocked(3, size, 5, host().lanes) for size in (4, 5))
    names = [kernel.name for kernel in (ToBlocks(one), ToBlocks(two), ClearBorder(one))]
    assert len(set(names)) == 3
    assert names[0].startswith("toblocks_")


def test_equal_kernels_are_compiled_once():
    layout = Blocked(3, 4, 5, host().lanes)
    library = build([ToBlocks(layout), ClearBorder(layout), ToBlocks(layout)], host())
    assert sorted(library.addresses) == sorted([ToBlocks(layout).name, ClearBorder(layout).name])


def test_a_kernel_without_weights_packs_none():
    with pytest.raises(TypeError, match="ToBlocks has no weights"):
        ToBlocks(Blocked(3, 4, 5, 8)).pack(np.zeros((2, 3)))


def test_blocks_of_another_width_are_refused():
    layout = Blocked(3, 4, 5, 2 * host().lanes)
    with pytest.raises(InvalidSpec, match="lanes came for vectors"):
        build([ToBlocks(layout)], host())


def test_blocks_are_filled_up_with_zeros():
    filled = blocks_of(np.ones((5, 2)), 4)
    assert filled.shape == (8, 2)
    assert filled.sum() == 10
