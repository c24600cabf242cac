"""Recursive filters that run along signals, and sums of what comes out of them.

A recursion cannot be cut along the signal: every sample waits for the one before. So the lanes of a vector hold as many
signals, which are filtered side by side, and a filter's states stay in registers from the first sample to the last.
What comes out is added up there and never stored. Numbers are float64: a pole close to the unit circle leaves float32
few digits.
"""

from __future__ import annotations

import ctypes
import struct
from typing import TYPE_CHECKING, Any, Final, final

import numpy as np

from ninefold.kernels.llvm.compiled import library

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ninefold.kernels.llvm.target import Target

_CALL: Final = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)
_TEXT: Final = """
define void @{name}(ptr %x, ptr %y, i64 %pieces, i64 %length) #0 {{
entry:
  br label %piece
piece:
  %c = phi i64 [ 0, %entry ], [ %c_next, %written ]
  %from = phi ptr [ %x, %entry ], [ %place_next, %written ]
  %to = phi ptr [ %y, %entry ], [ %to_next, %written ]
{kept}
  br label %sample
sample:
  %i = phi i64 [ 0, %piece ], [ %i_next, %sample ]
  %place = phi ptr [ %from, %piece ], [ %place_next, %sample ]
{states}
  %sum = phi {vector} [ zeroinitializer, %piece ], [ %sum_next, %sample ]
  %square = phi {vector} [ zeroinitializer, %piece ], [ %square_next, %sample ]
  %y0 = load {vector}, ptr %place, align 8
{sections}
  %sum_next = fadd {vector} %sum, %y{last}
  %square_next = call {vector} @llvm.fmuladd.v{lanes}f64({vector} %y{last}, {vector} %y{last}, {vector} %square)
  %place_next = getelementptr {vector}, ptr %place, i64 1
  %i_next = add i64 %i, 1
  %more = icmp slt i64 %i_next, %length
  br i1 %more, label %sample, label %written
written:
  store {vector} %sum_next, ptr %to, align 8
  %second = getelementptr {vector}, ptr %to, i64 1
  store {vector} %square_next, ptr %second, align 8
  %to_next = getelementptr {vector}, ptr %to, i64 2
  %c_next = add i64 %c, 1
  %left = icmp slt i64 %c_next, %pieces
  br i1 %left, label %piece, label %leave
leave:
  ret void
}}"""
# y = x + u, then u = v + b1 x - a1 y and v = b2 x - a2 y: the transposed direct form II
_SECTION: Final = """\
  %y{next} = fadd {vector} %y{this}, %u{this}
  %t{this} = {multiply}({vector} %y{this}, {vector} {b1}, {vector} %v{this})
  %u{this}_next = {multiply}({vector} %y{next}, {vector} {a1}, {vector} %t{this})
  %s{this} = fmul {vector} %y{this}, {b2}
  %v{this}_next = {multiply}({vector} %y{next}, {vector} {a2}, {vector} %s{this})"""


@final
class Cascade:
    """Filters of second-order sections, each the product of its sections; compiled when this is made.

        H(z) = product of (b0 + b1 / z + b2 / z^2) / (1 + a1 / z + a2 / z^2)

    Args:
        sections: float64 (filters, sections, 6) of b0, b1, b2, 1, a1, a2, as SciPy writes them; b0 is not 0.
        target: the processor.
    """

    def __init__(self, sections: NDArray[np.float64], target: Target) -> None:
        self._lanes = target.lanes // 2
        self._gains = sections[:, :, 0].prod(axis=1)
        names = tuple(f"filter_{place}" for place in range(len(sections)))
        made = library(_module(names, sections, self._lanes), names, target)
        self._calls = [_callable(made, name) for name in names]

    def sums(self, x: NDArray[np.float64], length: int) -> NDArray[np.float64]:
        """Filter signals from states of zero, and add up pieces of what comes out.

        Args:
            x: float64 (R, S).
            length: samples of a piece, from 1 to S; what is left at the end is not looked at.

        Returns:
            float64 (2, filters, R, S // length): the sums of all pieces, and of their squares.
        """
        rows, pieces = len(x), x.shape[1] // length
        groups = -(-rows // self._lanes)
        found = np.empty((groups, len(self._calls), pieces, 2, self._lanes))
        side_by_side = np.zeros((pieces * length, self._lanes))
        for group, into in enumerate(found):
            some = x[group * self._lanes : (group + 1) * self._lanes, : pieces * length]
            side_by_side[:, : len(some)] = some.T
            for call, sums in zip(self._calls, into, strict=True):
                call(side_by_side.ctypes.data, sums.ctypes.data, pieces, length)
        sums = found.transpose(3, 1, 0, 4, 2).reshape(2, len(self._calls), -1, pieces)[:, :, :rows]
        return sums * np.stack([self._gains, self._gains**2])[:, :, None, None]


def _callable(made: Any, name: str) -> Any:
    function = _CALL(made.addresses[name])
    function.library = made
    return function


def _module(names: tuple[str, ...], sections: NDArray[np.float64], lanes: int) -> str:
    vector, bits = f"<{lanes} x double>", 64 * lanes
    declared = f"declare {vector} @llvm.fmuladd.v{lanes}f64({vector}, {vector}, {vector})"
    width = f'attributes #0 = {{ nounwind "prefer-vector-width"="{bits}" "min-legal-vector-width"="{bits}" }}'
    return "\n".join([declared, *(_filter(*each, lanes) for each in zip(names, sections, strict=True)), width]) + "\n"


def _filter(name: str, sections: NDArray[np.float64], lanes: int) -> str:
    vector = f"<{lanes} x double>"
    states = [f"{state}{place}" for place in range(len(sections)) for state in "uv"]
    return _TEXT.format(
        name=name,
        vector=vector,
        lanes=lanes,
        last=len(sections),
        kept="\n".join(
            f"  %{s}_kept = phi {vector} [ zeroinitializer, %entry ], [ %{s}_next, %written ]" for s in states
        ),
        states="\n".join(f"  %{s} = phi {vector} [ %{s}_kept, %piece ], [ %{s}_next, %sample ]" for s in states),
        sections="\n".join(_section(place, each, lanes) for place, each in enumerate(sections)),
    )


def _section(place: int, section: NDArray[np.float64], lanes: int) -> str:
    """Write a section without its gain b0, which the sums get in the end."""
    b0, b1, b2, _, a1, a2 = section
    vector = f"<{lanes} x double>"
    return _SECTION.format(
        this=place,
        next=place + 1,
        vector=vector,
        multiply=f"call {vector} @llvm.fmuladd.v{lanes}f64",
        b1=_constant(b1 / b0, lanes),
        b2=_constant(b2 / b0, lanes),
        a1=_constant(-a1, lanes),
        a2=_constant(-a2, lanes),
    )


def _constant(number: float, lanes: int) -> str:
    bits = struct.unpack("Q", struct.pack("d", number))[0]
    return "<" + ", ".join([f"double 0x{bits:016X}"] * lanes) + ">"
