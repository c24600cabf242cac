"""The processor that kernels are generated for."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Final

from llvmlite import binding

from ninefold.errors import Unsupported

# Features of the forms that can be forced, beside the name of a processor that has them and no wider ones.
_AVX2: Final = ("haswell", "+avx2,+fma,-avx512f")
_SSE2: Final = ("x86-64", "-avx")


@dataclass(frozen=True, slots=True)
class Target:
    """What a kernel may count on.

    Args:
        cpu: as LLVM calls the processor.
        features: as LLVM writes them, `+avx2,-avx512f,...`.
        lanes: float32 numbers in a vector register: 16, 8 or 4. It is also how many channels a block holds.
        registers: vector registers: 32 or 16.
        has_fma: whether a * b + c is one instruction.
    """

    cpu: str
    features: str
    lanes: int
    registers: int
    has_fma: bool

    @property
    def has_bf16(self) -> bool:
        """Whether two products of bfloat16 numbers are added to a float32 one in one instruction."""
        return self.lanes == 16 and "+avx512bf16" in self.features.split(",")

    @property
    def is_x86(self) -> bool:
        """Whether x86 instructions, such as those for the floating point mode, exist."""
        return binding.get_default_triple().startswith(("x86_64", "i686", "amd64"))


@cache
def host() -> Target:
    """Give this machine, with the widest vectors it has."""
    features = binding.get_host_cpu_features()
    if features.get("avx512f"):
        lanes, registers = 16, 32
    elif features.get("avx2") and features.get("fma"):
        lanes, registers = 8, 16
    else:
        lanes, registers = 4, 32 if features.get("neon") else 16
    has_fma = lanes > 4 or bool(features.get("neon"))
    return Target(binding.get_host_cpu_name(), features.flatten(), lanes, registers, has_fma)


def narrowed(lanes: int) -> Target:
    """Give this machine as one of narrower vectors would be: how the forms for other processors are tested.

    Args:
        lanes: 16, 8 or 4, at most those of `host()`.

    Raises:
        Unsupported: when the machine has no such vectors.
    """
    machine = host()
    if lanes == machine.lanes:
        return machine
    if lanes > machine.lanes or lanes not in (4, 8) or not machine.is_x86:
        raise Unsupported(
            f"{machine.cpu} has vectors of {machine.lanes} float32 numbers and cannot run as one of {lanes}; "
            "ask for 4, 8 or its own number, on x86"
        )
    cpu, features = _AVX2 if lanes == 8 else _SSE2
    return Target(cpu, features, lanes, registers=16, has_fma=lanes == 8)
