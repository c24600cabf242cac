"""A writer of LLVM IR: functions, loops and vector arithmetic, with the address arithmetic in one place.

A value is a name with its type; numbers stand for themselves. Offsets count float32 numbers, never bytes. What is
written is static single assignment, so a loop is given what it carries and gives back what came out of it:

    total = f.loop(0, n, lambda i, carried: [f.fma(f.load(x, i), f.load(y, i), carried[0])], [f.zero()])[0]
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, final

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ninefold.kernels.llvm.target import Target

INT, POINTER, FLOAT = "i64", "ptr", "float"

# The arguments of every kernel that a plan can call; see `plan`.
ENTRY: Final = ("x", "weight", "bias", "y", "residual", "scratch")
RANGES: Final = ("a0", "a1", "b0", "b1")

DOT: Final = "@llvm.x86.avx512bf16.dpbf16ps.512"


@dataclass(frozen=True, slots=True)
class Value:
    """Something the generated code computes: `%name` of a type."""

    type: str
    name: str

    def __str__(self) -> str:
        return f"{self.type} {self.name}"


Number = Value | int


@final
class Function:
    """One function, written from its first line to its last.

    Args:
        name: in the module, where it must be unique.
        arguments: pairs of type and name.
        target: whose lanes the vectors have.
        internal: whether it is only called from its own module.
    """

    def __init__(
        self, name: str, arguments: Sequence[tuple[str, str]], target: Target, *, internal: bool = False
    ) -> None:
        self.name = name
        self.target = target
        self.lanes = target.lanes
        self.vector = f"<{target.lanes} x float>"
        self.arguments = {argument: Value(kind, f"%{argument}") for kind, argument in arguments}
        self._lines: list[str] = []
        self._block = "entry"
        self._count = 0
        attributes = "noalias " if internal else ""
        written = ", ".join(f"{kind} {attributes if kind == POINTER else ''}%{a}" for kind, a in arguments)
        self._head = f"define {'internal ' if internal else ''}void @{name}({written}) #{1 if internal else 0} {{"

    @classmethod
    def entry(cls, name: str, target: Target) -> Function:
        """Begin a kernel that a plan can call: the pointers of `ENTRY`, then the ranges of `RANGES`."""
        pointers = [(POINTER, argument) for argument in ENTRY]
        return cls(name, pointers + [(INT, argument) for argument in RANGES], target)

    def __getitem__(self, argument: str) -> Value:
        """Give an argument by its name."""
        return self.arguments[argument]

    def text(self) -> str:
        """End the function and give its text."""
        return "\n".join([self._head, "entry:", *self._lines, "  ret void", "}"])

    # Integers: addresses and loop bounds. Constants are folded, so that the text stays short.

    def add(self, a: Number, b: Number) -> Number:
        """Add two integers."""
        if isinstance(a, int) and isinstance(b, int):
            return a + b
        if b == 0:
            return a
        return b if a == 0 else self._new(INT, f"add i64 {_bare(a)}, {_bare(b)}")

    def mul(self, a: Number, b: Number) -> Number:
        """Multiply two integers."""
        if isinstance(a, int) and isinstance(b, int):
            return a * b
        if a == 0 or b == 0:
            return 0
        if b == 1:
            return a
        return b if a == 1 else self._new(INT, f"mul i64 {_bare(a)}, {_bare(b)}")

    def sub(self, a: Number, b: Number) -> Number:
        """Subtract two integers."""
        if isinstance(b, int):
            return self.add(a, -b)
        return self._new(INT, f"sub i64 {_bare(a)}, {_bare(b)}")

    def div(self, a: Number, b: int) -> Number:
        """Divide a non-negative integer by a positive constant, rounding down."""
        return a // b if isinstance(a, int) else self._new(INT, f"udiv i64 {a.name}, {b}")

    def mod(self, a: Number, b: int) -> Number:
        """Give the rest of a division of a non-negative integer by a positive constant."""
        return a % b if isinstance(a, int) else self._new(INT, f"urem i64 {a.name}, {b}")

    def minimum(self, a: Number, b: Number) -> Number:
        """Give the smaller of two signed integers."""
        return self._extreme("smin", a, b)

    def maximum(self, a: Number, b: Number) -> Number:
        """Give the larger of two signed integers."""
        return self._extreme("smax", a, b)

    def _extreme(self, name: Literal["smin", "smax"], a: Number, b: Number) -> Number:
        if isinstance(a, int) and isinstance(b, int):
            return min(a, b) if name == "smin" else max(a, b)
        return self._new(INT, f"call i64 @llvm.{name}.i64(i64 {_bare(a)}, i64 {_bare(b)})")

    def compare(self, how: Literal["slt", "sge", "ult", "eq"], a: Number, b: Number) -> Value:
        """Compare two integers; gives a truth value."""
        return self._new("i1", f"icmp {how} i64 {_bare(a)}, {_bare(b)}")

    def both(self, a: Value, b: Value) -> Value:
        """Give a and b of two truth values."""
        return self._new("i1", f"and i1 {a.name}, {b.name}")

    def select(self, condition: Value, a: Value, b: Value) -> Value:
        """Give a where the condition holds, else b, without a branch."""
        return self._new(a.type, f"select i1 {condition.name}, {a}, {b}")

    # Memory: the only place where offsets become addresses.

    def at(self, pointer: Value, offset: Number = 0) -> Value:
        """Give the address `offset` float32 numbers behind `pointer`; the offset may be negative."""
        if offset == 0:
            return pointer
        return self._new(POINTER, f"getelementptr float, ptr {pointer.name}, i64 {_bare(offset)}")

    def load(self, pointer: Value, offset: Number = 0, *, aligned: bool = True) -> Value:
        """Read a vector."""
        return self._new(self.vector, f"load {self.vector}, {self.at(pointer, offset)}, align {self._align(aligned)}")

    def store(self, value: Value, pointer: Value, offset: Number = 0, *, aligned: bool = True) -> None:
        """Write a vector."""
        self._line(f"store {value}, {self.at(pointer, offset)}, align {self._align(aligned)}")

    def store_rounded(self, value: Value, pointer: Value, offset: Number = 0) -> None:
        """Write a vector as bfloat16 numbers, two in the place of one."""
        rounded = self._new(f"<{self.lanes} x bfloat>", f"fptrunc {value} to <{self.lanes} x bfloat>")
        self._line(f"store {rounded}, {self.at(pointer, offset)}, align 4")

    def interleaved(self, low: Value | None, high: Value | None) -> Value:
        """Read a lane's number of bfloat16 from behind both addresses, and give both the place of one number.

        The high half alone, with zeros below, is a bfloat16 number as float32.
        """
        halves, total = f"<{self.lanes} x i16>", Value(self._integers, "zeroinitializer")
        for pointer, bits in ((low, 0), (high, 16)):
            if pointer is not None:
                read = self._new(halves, f"load {halves}, {pointer}, align 2")
                wide = self._new(self._integers, f"zext {read} to {self._integers}")
                places = ", ".join([f"i32 {bits}"] * self.lanes)
                moved = self._new(self._integers, f"shl {wide}, <{places}>")
                total = self._new(self._integers, f"or {total}, {moved.name}")
        return self._new(self.vector, f"bitcast {total} to {self.vector}")

    def load_scalar(self, pointer: Value, offset: Number = 0) -> Value:
        """Read one number."""
        return self._new(FLOAT, f"load float, {self.at(pointer, offset)}, align 4")

    def store_scalar(self, value: Value, pointer: Value, offset: Number = 0) -> None:
        """Write one number."""
        self._line(f"store {value}, {self.at(pointer, offset)}, align 4")

    def broadcast(self, pointer: Value, offset: Number = 0) -> Value:
        """Read one number into all lanes."""
        return self.splat(self.load_scalar(pointer, offset))

    def index(self, pointer: Value, place: Number = 0) -> Value:
        """Read number `place` of a list of int32 as an integer."""
        return self._new(INT, f"sext {self._new('i32', f'load i32, {self.at(pointer, place)}, align 4')} to i64")

    def integer(self, pointer: Value, place: Number = 0) -> Value:
        """Read number `place` of a list of int64."""
        return self._new(INT, f"load i64, {self.at(pointer, self.mul(place, 2))}, align 8")

    def address(self, pointer: Value, place: Number = 0) -> Value:
        """Read address `place` of a list of addresses."""
        return self._new(POINTER, f"load ptr, {self.at(pointer, self.mul(place, 2))}, align 8")

    def prefetch(self, pointer: Value, offset: Number = 0, *, to_write: bool = False) -> None:
        """Ask for a cache line that will be read, or written, soon."""
        self._line(f"call void @llvm.prefetch.p0({self.at(pointer, offset)}, i32 {int(to_write)}, i32 2, i32 1)")

    def scratch(self, name: str) -> Value:
        """Reserve one aligned vector on the stack: where what must not be written goes."""
        self._lines.insert(0, f"  %{name} = alloca [{self.lanes} x float], align 64")
        return Value(POINTER, f"%{name}")

    def _align(self, aligned: bool) -> int:
        return 4 * self.lanes if aligned else 4

    # Vectors.

    def zero(self) -> Value:
        """Give the vector of zeros."""
        return Value(self.vector, "zeroinitializer")

    def constant(self, number: float) -> Value:
        """Give a vector with the same number, rounded to float32, in all lanes."""
        return self.splat(Value(FLOAT, literal(number)))

    def splat(self, number: Value) -> Value:
        """Put one number into all lanes."""
        first = self._new(self.vector, f"insertelement {self.vector} poison, {number}, i32 0")
        zeros = f"<{self.lanes} x i32> zeroinitializer"
        return self._new(self.vector, f"shufflevector {first}, {self.vector} poison, {zeros}")

    def fma(self, a: Value, b: Value, c: Value) -> Value:
        """Give a * b + c, rounded once where the target can."""
        if not self.target.has_fma:
            return self.arithmetic("fadd", self.arithmetic("fmul", a, b), c)
        return self._new(self.vector, f"call {self.vector} @llvm.fma.v{self.lanes}f32({a}, {b}, {c})")

    def dot(self, a: Value, b: Value, c: Value) -> Value:
        """Give a0 * b0 + a1 * b1 + c, where two bfloat16 numbers have the place of every one of a and of b."""
        kind = f"<{2 * self.lanes} x bfloat>"
        two = ", ".join(str(self._new(kind, f"bitcast {halves} to {kind}")) for halves in (a, b))
        return self._new(self.vector, f"call {self.vector} {DOT}({c}, {two})")

    def arithmetic(self, operation: Literal["fadd", "fsub", "fmul", "fdiv"], a: Value, b: Value) -> Value:
        """Give one operation on all lanes."""
        return self._new(a.type, f"{operation} {a.type} {a.name}, {b.name}")

    def root(self, x: Value) -> Value:
        """Give the square root."""
        return self._new(x.type, f"call {x.type} @llvm.sqrt.v{self.lanes}f32({x})")

    def largest(self, a: Value, b: Value) -> Value:
        """Give the larger of a and b per lane; b where a is no number."""
        return self._chosen("ogt", a, b)

    def largest_or_nan(self, a: Value, b: Value) -> Value:
        """Give the larger of a and b per lane; what is no number where one of them is not."""
        mask = self._new(f"<{self.lanes} x i1>", f"fcmp uno {a}, {a.name}")
        return self._new(self.vector, f"select {mask}, {a}, {self.largest(a, b)}")

    def smallest(self, a: Value, b: Value) -> Value:
        """Give the smaller of a and b per lane; b where a is no number."""
        return self._chosen("olt", a, b)

    def _chosen(self, how: str, a: Value, b: Value) -> Value:
        mask = self._new(f"<{self.lanes} x i1>", f"fcmp {how} {a.type} {a.name}, {b.name}")
        return self._new(self.vector, f"select {mask}, {a}, {b}")

    def positive(self, x: Value, a: Value, b: Value) -> Value:
        """Give a where x > 0, else b, per lane."""
        mask = self._new(f"<{self.lanes} x i1>", f"fcmp ogt {x}, zeroinitializer")
        return self._new(self.vector, f"select {mask}, {a}, {b}")

    def first_lanes(self, x: Value, count: int) -> Value:
        """Give x with zeros behind its first `count` lanes."""
        return self.picked(x, self.zero(), [lane if lane < count else self.lanes for lane in range(self.lanes)])

    def picked(self, a: Value, b: Value, lanes: Sequence[int]) -> Value:
        """Give lane `lanes[i]` of a, or of b where they count on behind a's, as lane i."""
        mask = ", ".join(f"i32 {lane}" for lane in lanes)
        return self._new(self.vector, f"shufflevector {a}, {b}, <{self.lanes} x i32> <{mask}>")

    def rounded(self, x: Value) -> tuple[Value, Value]:
        """Give the nearest whole number n, |n| < 2^22, and the bits that let `scaled` multiply by 2^n."""
        magic = self.constant(1.5 * 2**23)  # its sum with x has no bits for fractions, and n in its lowest bits
        moved = self.arithmetic("fadd", x, magic)
        bits = self._new(self._integers, f"bitcast {moved} to {self._integers}")
        places = ", ".join(["i32 23"] * self.lanes)  # the exponent begins at bit 23
        return self.arithmetic("fsub", moved, magic), self._new(self._integers, f"shl {bits}, <{places}>")

    def scaled(self, x: Value, bits: Value) -> Value:
        """Give x * 2^n, where `bits` came from `rounded` with n; neither x nor the result may leave normal numbers."""
        raw = self._new(self._integers, f"bitcast {x} to {self._integers}")
        moved = self._new(self._integers, f"add {raw}, {bits.name}")
        return self._new(self.vector, f"bitcast {moved} to {self.vector}")

    @property
    def _integers(self) -> str:
        return f"<{self.lanes} x i32>"

    # Control.

    def loop(
        self,
        start: Number,
        stop: Number,
        body: Callable[[Value, list[Value]], Sequence[Value] | None],
        carried: Sequence[Value] = (),
        *,
        step: int = 1,
        nonempty: bool = False,
    ) -> list[Value]:
        """Run `body(i, carried)` for i = start, start + step, ... below stop; it returns what the next round carries.

        A range of constants must not be empty. One that depends on values may be, if nothing is carried; `nonempty`
        says that it never is.

        Returns:
            What the last round returned.
        """
        self._count += 1
        inside, after, before = f"loop{self._count}", f"after{self._count}", self._block
        if isinstance(start, int) and isinstance(stop, int):
            nonempty = True
            if start >= stop:
                raise ValueError(f"{self.name}: a loop from {start} to {stop} would not run")
        if nonempty:
            self._line(f"br label %{inside}")
        else:
            some = self.compare("slt", start, stop)
            self._line(f"br i1 {some.name}, label %{inside}, label %{after}")
        self._begin(inside)
        place = len(self._lines)
        index = self._fresh(INT)
        states = [self._fresh(value.type) for value in carried]
        results = list(body(index, states) or [])
        following = self.add(index, step)
        again = self.compare("slt", following, stop)
        self._line(f"br i1 {again.name}, label %{inside}, label %{after}")
        phis = zip([index, *states], [start, *carried], [following, *results], strict=True)
        self._lines[place:place] = [
            f"  {new.name} = phi {new.type} [ {_bare(first)}, %{before} ], [ {_bare(following)}, %{self._block} ]"
            for new, first, following in phis
        ]
        self._begin(after)
        return results

    def branch(self, condition: Value, then: Callable[[], None], otherwise: Callable[[], None]) -> None:
        """Write both ways; neither gives a value."""
        self._count += 1
        ways = [f"then{self._count}", f"else{self._count}"]
        after = f"joined{self._count}"
        self._line(f"br i1 {condition.name}, label %{ways[0]}, label %{ways[1]}")
        for label, write in zip(ways, (then, otherwise), strict=True):
            self._begin(label)
            write()
            self._line(f"br label %{after}")
        self._begin(after)

    def keep_order(self) -> None:
        """Let LLVM move nothing from before this point behind it or back: it would hold more values than registers."""
        self._count += 1
        self._line(f"br label %next{self._count}")
        self._begin(f"next{self._count}")

    def call(self, name: str, arguments: Sequence[Number]) -> None:
        """Call a function of the same module; plain numbers are integers."""
        written = ", ".join(f"i64 {a}" if isinstance(a, int) else str(a) for a in arguments)
        self._line(f"call void @{name}({written})")

    def _begin(self, block: str) -> None:
        self._lines.append(f"{block}:")
        self._block = block

    def _line(self, text: str) -> None:
        self._lines.append(f"  {text}")

    def _fresh(self, kind: str) -> Value:
        self._count += 1
        return Value(kind, f"%v{self._count}")

    def _new(self, kind: str, text: str) -> Value:
        value = self._fresh(kind)
        self._line(f"{value.name} = {text}")
        return value


def literal(number: float) -> str:
    """Write a number as LLVM reads a float: rounded to float32, as the bits of the equal double.

    >>> literal(1.0), literal(0.1)
    ('0x3FF0000000000000', '0x3FB99999A0000000')
    """
    rounded = struct.unpack("f", struct.pack("f", number))[0]
    return f"0x{struct.unpack('Q', struct.pack('d', rounded))[0]:016X}"


def _bare(number: Number) -> str:
    return str(number) if isinstance(number, int) else number.name
