"""Functions put together into the text that LLVM compiles."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ninefold.kernels.llvm.text import DOT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ninefold.kernels.llvm.target import Target
    from ninefold.kernels.llvm.text import Function


def module(functions: Sequence[Function | str], target: Target) -> str:
    """Put functions together into the text of a module, with what they may call of LLVM."""
    vector, bits = f"<{target.lanes} x float>", 32 * target.lanes
    width = f'"prefer-vector-width"="{bits}" "min-legal-vector-width"="{bits}"'
    heads = [
        f"declare {vector} @llvm.fma.v{target.lanes}f32({vector}, {vector}, {vector})",
        f"declare {vector} @llvm.sqrt.v{target.lanes}f32({vector})",
        "declare void @llvm.prefetch.p0(ptr, i32, i32, i32)",
        "declare i64 @llvm.smin.i64(i64, i64)",
        "declare i64 @llvm.smax.i64(i64, i64)",
        *([f"declare {vector} {DOT}({vector}, <32 x bfloat>, <32 x bfloat>)"] if target.has_bf16 else []),
    ]
    attributes = [f"attributes #0 = {{ nounwind {width} }}", f"attributes #1 = {{ nounwind noinline {width} }}"]
    bodies = [f if isinstance(f, str) else f.text() for f in functions]
    return "\n".join([*heads, *bodies, *attributes]) + "\n"
