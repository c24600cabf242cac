"""Kernel maps: which input row meets which output row under which kernel offset, as a value."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from math import prod
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import torch

from ninefold.errors import InvalidInput
from ninefold.kernels.llvm.meetings import meetings
from ninefold.kernels.llvm.site_lists import neighbours
from ninefold.sparse.search import found_pairs, output_sites
from ninefold.sparse.sites import Sites, check_cells

if TYPE_CHECKING:
    from collections.abc import Hashable

    from torch import Tensor

    from ninefold.spec import Axes, SparseSpec

_LONGEST: Final = 2**20  # cells of an axis: every part of the native finder takes 4 bytes for each of them
_MOST_KEYS: Final = 2**62


@dataclass(frozen=True, eq=False)
class KernelMap:
    """Pairs (input row, output row) per kernel offset, in the order of `SparseSpec.offsets`.

    A submanifold map is its own mirror image: what i is to o under offset k, o is to i under the offset opposite to
    k, and under the one in the middle every row meets itself. Only the first half is kept then.

    Args:
        inputs: sites of the input.
        outputs: sites of the output.
        kernel: size of the kernel.
        in_rows: int32, of all kept pairs, offset by offset; within an offset increasing.
        out_rows: int32, likewise.
        starts: where each kept offset's pairs begin, and the end.
        mirrored: whether only the offsets before the middle one are kept.
        memory: what was found out about these pairs, kept as long as they are; the swapped map shares it.
        is_swapped: whether this is the swapped one of the two.
    """

    inputs: Sites
    outputs: Sites
    kernel: Axes
    in_rows: Tensor
    out_rows: Tensor
    starts: tuple[int, ...]
    mirrored: bool = False
    memory: dict[Hashable, Any] = field(default_factory=dict, repr=False)
    is_swapped: bool = False

    def __getstate__(self) -> dict[str, Any]:
        """Copy and pickle without the memory, as `Sites` do."""
        return {**vars(self), "memory": {}}

    @property
    def volume(self) -> int:
        """Number of kernel offsets."""
        kept = len(self.starts) - 1
        return 2 * kept + 1 if self.mirrored else kept

    def pairs(self, offset: int) -> tuple[Tensor, Tensor]:
        """Give the input rows and output rows that meet under an offset, int32 of equal length.

        Args:
            offset: its number, 0 <= offset < volume.
        """
        kept = len(self.starts) - 1
        if self.mirrored and offset == kept:
            rows = torch.arange(len(self.inputs), dtype=torch.int32, device=self.in_rows.device)
            return rows, rows
        opposite = self.mirrored and offset > kept
        place = 2 * kept - offset if opposite else offset
        part = slice(self.starts[place], self.starts[place + 1])
        both = self.in_rows[part], self.out_rows[part]
        return (both[1], both[0]) if opposite else both

    @property
    def count(self) -> int:
        """Number of pairs under all offsets."""
        return 2 * self.starts[-1] + len(self.inputs) if self.mirrored else self.starts[-1]

    @property
    def bytes(self) -> int:
        """Memory of the pairs."""
        return self.in_rows.nbytes + self.out_rows.nbytes

    @property
    def swapped(self) -> KernelMap:
        """Give the map from the output's sites back to the input's: that of gradients and of inverse convolutions."""
        return replace(
            self,
            inputs=self.outputs,
            outputs=self.inputs,
            in_rows=self.out_rows,
            out_rows=self.in_rows,
            is_swapped=not self.is_swapped,
        )


def kernel_map(sites: Sites, spec: SparseSpec) -> KernelMap:
    """Find which input row meets which output row; for the same sites and spec the same pairs, found once.

    The output's sites are the input's for submanifold convolutions, else sorted as all sites are.

    Args:
        sites: of the input, on a grid of `spec.size`.
        spec: the geometry.

    Raises:
        InvalidInput: when the sites are on another grid, or the output's grids have too many cells.

    >>> from ninefold.sparse import Sites
    >>> from ninefold.spec import SparseSpec
    >>> sites, _ = Sites.of(torch.tensor([[0, 1], [0, 2], [0, 6]]), (8,))
    >>> [both.tolist() for both in kernel_map(sites, SparseSpec.of((8,), 3, kind="submanifold")).pairs(0)]
    [[0], [1]]
    """
    if sites.size != spec.size:
        raise InvalidInput(f"sites on a grid of {sites.size} came for a convolution of {spec.size}; describe theirs")
    if spec not in sites.memory:
        sites.memory[spec] = _found(sites, spec)
    found: _Found = sites.memory[spec]
    outputs = sites if found.outputs is None else found.outputs
    rows = found.in_rows, found.out_rows
    return KernelMap(sites, outputs, spec.kernel, *rows, found.starts, found.outputs is None, found.memory)


class _Found(NamedTuple):
    """A map without its input's sites, which keep it; without outputs where they are the inputs."""

    outputs: Sites | None
    in_rows: Tensor
    out_rows: Tensor
    starts: tuple[int, ...]
    memory: dict[Hashable, Any]


def _found(sites: Sites, spec: SparseSpec) -> _Found:
    mirrored = spec.kind == "submanifold"
    check_cells(spec.out_size, sites.batch)
    if sites.coords.device.type == "cpu" and _is_native(sites, spec):
        return _found_natively(sites, spec)
    outputs = None if mirrored else output_sites(sites, spec)
    kept = spec.offsets[: spec.volume // 2] if mirrored else spec.offsets
    pairs = [found_pairs(sites, sites if outputs is None else outputs, spec, offset) for offset in kept]
    none = torch.empty(0, dtype=torch.int32, device=sites.coords.device)
    starts = [0]
    for rows, _ in pairs:
        starts.append(starts[-1] + len(rows))
    in_rows, out_rows = (torch.cat([none, *side]) for side in (zip(*pairs, strict=True) if pairs else ((), ())))
    return _Found(outputs, in_rows, out_rows, tuple(starts), {})


def _is_native(sites: Sites, spec: SparseSpec) -> bool:
    """Whether the native finders have room: for keys of 62 bits, and for memory as long as an axis."""
    if spec.kind != "submanifold":
        return max(spec.out_size) <= _LONGEST
    axes = zip(spec.size, spec.dilation, spec.kernel, strict=True)
    return prod(n + d * (k // 2) for n, d, k in axes) * sites.batch <= _MOST_KEYS


def _found_natively(sites: Sites, spec: SparseSpec) -> _Found:
    coords, outputs, threads = sites.coords.numpy(), None, torch.get_num_threads()
    if spec.kind == "submanifold":
        lists = neighbours(coords, spec, threads)
    else:
        found, lists = meetings(coords, spec, threads)
        outputs = Sites(torch.from_numpy(found), spec.out_size, sites.batch)
    return _Found(outputs, torch.from_numpy(lists.in_rows), torch.from_numpy(lists.out_rows), lists.starts, {})
