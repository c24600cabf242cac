"""One sparse convolution, described before it is computed: which output sites see which input sites, without data."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from math import prod
from typing import TYPE_CHECKING, Literal, Self, get_args

from ninefold.errors import InvalidSpec
from ninefold.spec.arguments import Axes, per_axis

if TYPE_CHECKING:
    from collections.abc import Sequence

SparseKind = Literal["sparse", "submanifold", "transposed"]
_MOST_AXES = 4
_LARGEST = 2**31 - 1


@dataclass(frozen=True, slots=True)
class SparseSpec:
    """The geometry of a sparse convolution or pooling of 1 to 4 spatial axes, without channels and without sites.

    A site is one cell of a grid, given by its coordinate per axis. Input site i and output site o meet under kernel
    offset k where, on every axis,

        sparse         i = stride * o - padding + dilation * k      o is active if any active i meets it
        submanifold    i = o - dilation * (kernel // 2) + dilation * k      active outputs are the active inputs
        transposed     o = stride * i - padding + dilation * k      o is active if any active i meets it

    so that on its active sites each gives what the dense convolution of the same numbers gives.

    Args:
        size: of the input's grid, >= 1 per axis, the first axis changing slowest.
        kernel: >= 1 per axis; odd for submanifold.
        stride: >= 1 per axis; 1 for submanifold.
        padding: >= 0 per axis, on both sides; 0 for submanifold, whose windows are centred.
        dilation: >= 1 per axis.
        kind: see above.
        output_padding: transposed only: further cells at the end of every axis.

    Raises:
        InvalidSpec: when a value is out of range or the output's grid would be empty; the message quotes it.

    Source: B. Graham, M. Engelcke, L. van der Maaten, "3D Semantic Segmentation with Submanifold Sparse Convolutional
    Networks", CVPR 2018, section 3; B. Graham, L. van der Maaten, "Submanifold Sparse Convolutional Networks",
    arXiv 1706.01307, where "submanifold" is called "valid".

    >>> spec = SparseSpec.of((5,), 3, stride=2, padding=1)
    >>> spec.out_size, [(k, spec.output_of((3,), k)) for k in spec.offsets]
    ((3,), [((0,), (2,)), ((1,), None), ((2,), (1,))])
    """

    size: Axes
    kernel: Axes
    stride: Axes
    padding: Axes
    dilation: Axes
    kind: SparseKind = "sparse"
    output_padding: Axes = ()

    def __post_init__(self) -> None:
        if not self.output_padding:
            object.__setattr__(self, "output_padding", (0,) * self.dims)
        self._check_ranges()
        if min(self.out_size) < 1:
            raise InvalidSpec(
                f"the output's grid would be {self.out_size} for size={self.size}, kernel={self.kernel}, "
                f"stride={self.stride}, padding={self.padding}, dilation={self.dilation}: pad more, or take a smaller "
                "kernel"
            )

    @classmethod
    def of(
        cls,
        size: Sequence[int],
        kernel: int | Sequence[int],
        *,
        stride: int | Sequence[int] = 1,
        padding: int | Sequence[int] = 0,
        dilation: int | Sequence[int] = 1,
        kind: SparseKind = "sparse",
        output_padding: int | Sequence[int] = 0,
    ) -> Self:
        """Describe a convolution by arguments as callers write them: one integer counts for all axes.

        Args:
            size: of the input's grid.
            kernel: as in `SparseSpec`, and so are the others.
            stride: see there.
            padding: see there.
            dilation: see there.
            kind: see there.
            output_padding: see there.

        Raises:
            InvalidSpec: when the values do not fit.
        """
        grid = tuple(int(n) for n in size)
        values = {"kernel": kernel, "stride": stride, "padding": padding, "dilation": dilation}
        axes = {name: per_axis(value, len(grid), name) for name, value in values.items()}
        ends = per_axis(output_padding, len(grid), "output_padding")
        return cls(grid, axes["kernel"], axes["stride"], axes["padding"], axes["dilation"], kind, ends)

    @property
    def dims(self) -> int:
        """Number of spatial axes."""
        return len(self.size)

    @property
    def out_size(self) -> Axes:
        """Size of the output's grid.

        sparse         (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1
        submanifold    size
        transposed     (size - 1) * stride - 2 * padding + dilation * (kernel - 1) + 1 + output_padding
        """
        axes = zip(self.size, self.kernel, self.stride, self.padding, self.dilation, self.output_padding, strict=True)
        if self.kind == "submanifold":
            return self.size
        if self.kind == "transposed":
            return tuple((n - 1) * s - 2 * p + d * (k - 1) + 1 + end for n, k, s, p, d, end in axes)
        return tuple((n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, s, p, d, _ in axes)

    @property
    def volume(self) -> int:
        """Number of kernel offsets."""
        return prod(self.kernel)

    @property
    def offsets(self) -> tuple[Axes, ...]:
        """Give the kernel offsets in the order in which they are numbered: the last axis runs fastest."""
        return tuple(product(*map(range, self.kernel)))

    def output_of(self, site: Axes, offset: Axes) -> Axes | None:
        """Give the output site that an input site meets under a kernel offset; None where there is none.

        Args:
            site: one coordinate per axis, inside the input's grid.
            offset: one of `offsets`.
        """
        axes = zip(site, offset, self.kernel, self.stride, self.padding, self.dilation, strict=True)
        if self.kind == "transposed":
            found = tuple(i * s - p + d * r for i, r, _, s, p, d in axes)
        elif self.kind == "submanifold":
            found = tuple(i + d * (k // 2) - d * r for i, r, k, _, _, d in axes)
        else:
            steps = [divmod(i + p - d * r, s) for i, r, _, s, p, d in axes]
            if any(rest for _, rest in steps):
                return None
            found = tuple(step for step, _ in steps)
        inside = all(0 <= o < n for o, n in zip(found, self.out_size, strict=True))
        return found if inside else None

    def _check_ranges(self) -> None:
        if self.kind not in get_args(SparseKind):
            raise InvalidSpec(f"kind={self.kind!r} is not known; use one of {', '.join(get_args(SparseKind))}")
        if not 1 <= self.dims <= _MOST_AXES:
            raise InvalidSpec(f"size={self.size} has {self.dims} axes; wanted 1 to {_MOST_AXES}")
        for name, least in (("size", 1), ("kernel", 1), ("stride", 1), ("padding", 0), ("dilation", 1)):
            values: Axes = getattr(self, name)
            if len(values) != self.dims or min(values) < least or max(values) > _LARGEST:
                raise InvalidSpec(f"{name}={values} came; wanted {self.dims} integers from {least} to 2^31 - 1")
        if self.kind == "submanifold" and (
            any(k % 2 == 0 for k in self.kernel) or {*self.stride} != {1} or {*self.padding} != {0}
        ):
            raise InvalidSpec(
                f"a submanifold convolution keeps its sites: kernel={self.kernel} must be odd, stride={self.stride} 1 "
                f"and padding={self.padding} 0"
            )
        if any(self.output_padding) and self.kind != "transposed":
            raise InvalidSpec(
                f"output_padding={self.output_padding} came for kind={self.kind!r}; only transposed has it"
            )
