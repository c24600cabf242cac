"""What the tests of kernels share: targets of every width, and buffers between pages that must not be touched."""

from __future__ import annotations

import ctypes
import mmap
from dataclasses import dataclass

import numpy as np
import pytest

from ninefold.errors import Unsupported
from ninefold.kernels.llvm.kernel import build
from ninefold.kernels.llvm.layout import Blocked
from ninefold.kernels.llvm.target import narrowed

ALIGNMENT = 64


def pytest_generate_tests(metafunc):
    if "target" in metafunc.fixturenames:
        metafunc.parametrize("target", [16, 8, 4], indirect=True, ids=lambda lanes: f"{lanes}lanes")


@pytest.fixture
def target(request):
    """Give this machine, as wide as it is and narrowed."""
    try:
        return narrowed(request.param)
    except Unsupported as reason:
        pytest.skip(str(reason))


@pytest.fixture
def rng():
    return np.random.default_rng(0)


class Guarded:
    """A float32 buffer that ends, or begins, directly at a page that nobody may read or write.

    A kernel that leaves it ends the process; pytest says which test that was.
    """

    def __init__(self, numbers, *, at_end=True):
        page = mmap.PAGESIZE
        # What does not fill 64 bytes lies between the last number and the page: it is checked by value.
        self.bytes = -(-max(numbers, 1) * 4 // ALIGNMENT) * ALIGNMENT
        inner = -(-self.bytes // page) * page
        self._map = mmap.mmap(-1, inner + 2 * page)
        base = ctypes.addressof(ctypes.c_char.from_buffer(self._map))
        self._protect = [(base, page), (base + page + inner, page)]
        start = page + (inner - self.bytes if at_end else 0)
        self.address = base + start
        whole = np.frombuffer(self._map, np.float32, self.bytes // 4, start)
        whole[:] = np.nan
        self.array = whole[:numbers]
        self.slack = whole[numbers:]
        for address, length in self._protect:
            _mprotect(address, length, 0)

    def __del__(self):
        for address, length in self._protect:
            _mprotect(address, length, mmap.PROT_READ | mmap.PROT_WRITE)


def _mprotect(address, length, protection):
    done = ctypes.CDLL(None, use_errno=True).mprotect(
        ctypes.c_void_p(address), ctypes.c_size_t(length), ctypes.c_int(protection)
    )
    if done:
        raise OSError(ctypes.get_errno(), "mprotect failed")


@dataclass
class Maps:
    """Feature maps of one picture in a guarded buffer, blocked (`layout`) or planar (None)."""

    buffer: Guarded
    layout: Blocked | None

    @property
    def first(self):
        return self.buffer.address + (4 * self.layout.first if self.layout else 0)

    def inner(self):  # (blocks, H, W, lanes), a view
        layout = self.layout
        above, _, left, _ = layout.border
        whole = self.buffer.array.reshape(layout.blocks, -1, layout.row // layout.lanes, layout.lanes)
        return whole[:, above : above + layout.height, left : left + layout.width]

    def read(self):  # (C, H, W)
        """Give the channels; what fills up the last block must be zeros."""
        layout = self.layout
        maps = self.inner().transpose(0, 3, 1, 2).reshape(-1, layout.height, layout.width)
        assert not maps[layout.channels :].any(), "lanes that fill up the last block are not zeros"
        return maps[: layout.channels]

    def border_is(self, value):
        """Say whether all of the border, and what lies between the last number and the page, is still `value`."""
        copy = self.buffer.array.copy()
        self.inner()[...] = value
        held = np.array_equal(self.buffer.array, np.full_like(copy, value), equal_nan=True)
        self.buffer.array[:] = copy
        return held and bool(np.isnan(self.buffer.slack).all())


@pytest.fixture(params=["end", "begin"])
def edge(request):
    """Give where the forbidden page lies that buffers touch."""
    return request.param


@pytest.fixture
def bench(target, edge):
    """Give a bench whose buffers touch a forbidden page at this edge."""
    return Bench(target, edge)


@pytest.fixture
def make_bench():
    """Give a way to make a bench inside a test that draws its examples."""
    return lambda target: Bench(target, "end")


class Bench:
    """A place to lay out maps, and to run kernels on them, between forbidden pages."""

    def __init__(self, target, edge):
        self.target = target
        self.at_end = edge == "end"
        self.libraries = {}

    def numbers(self, values):
        """Lay out a flat array."""
        values = np.ascontiguousarray(values, np.float32)
        buffer = Guarded(values.size, at_end=self.at_end)
        buffer.array[:] = values.ravel()
        return Maps(buffer, None)

    def maps(self, values, border=(0, 0, 0, 0)):  # (C, H, W)
        """Lay out channels in blocks, with zeros around and behind them."""
        channels, height, width = values.shape
        maps = self.empty(channels, height, width, border)
        maps.buffer.array[:] = 0
        filled = np.zeros((maps.layout.blocks * self.target.lanes, height, width), np.float32)
        filled[:channels] = values
        maps.inner()[...] = filled.reshape(maps.layout.blocks, -1, height, width).transpose(0, 2, 3, 1)
        return maps

    def empty(self, channels, height, width, border=(0, 0, 0, 0)):
        """Lay out maps that are no numbers yet."""
        layout = Blocked(channels, height, width, self.target.lanes, border)
        return Maps(Guarded(layout.size, at_end=self.at_end), layout)

    def run(self, kernel, x, y, *, weight=None, bias=None, residual=None, parts=None):
        """Run a kernel, over its whole grid or part by part (a0, a1, b0, b1)."""
        if kernel not in self.libraries:
            self.libraries[kernel] = build([kernel], self.target)
        fn = self.libraries[kernel].kernel(kernel.name)
        packed = None if weight is None else self.numbers(kernel.pack(weight))
        if bias is not None:
            filled = np.zeros(-(-len(bias) // self.target.lanes) * self.target.lanes)
            filled[: len(bias)] = bias
            bias = self.numbers(filled)
        scratch = Guarded(kernel.scratch, at_end=self.at_end) if kernel.scratch else None
        pointers = [
            x.first,
            packed and packed.first,
            bias and bias.first,
            y.first,
            residual and residual.first,
            scratch and scratch.address,
        ]
        a, b = kernel.grid
        for part in parts or [(0, a, 0, b)]:
            fn(*pointers, *part)
