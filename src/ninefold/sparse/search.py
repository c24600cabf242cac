"""Finding pairs by searching in sorted keys, with torch alone: for every device and every number of axes.

All sites under one kernel offset move by the same step, so their keys stay sorted, and both rows of the pairs found
increase.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from ninefold.sparse.sites import Sites, rows_of

if TYPE_CHECKING:
    from torch import Tensor

    from ninefold.spec import Axes, SparseSpec


def output_sites(sites: Sites, spec: SparseSpec) -> Sites:
    """Give the output sites that any input site meets, sorted.

    Args:
        sites: of the input.
        spec: sparse or transposed.
    """
    keys = torch.empty(0, dtype=torch.int64, device=sites.coords.device)
    for offset in spec.offsets:
        _, met = _met(sites, spec, offset)
        keys = torch.unique(torch.cat([keys, met]))
    coords = keys.new_empty((len(keys), 1 + sites.dims), dtype=torch.int32)
    left = keys
    for axis in range(sites.dims, 0, -1):
        coords[:, axis] = left % spec.out_size[axis - 1]
        left = left // spec.out_size[axis - 1]
    coords[:, 0] = left
    return Sites(coords, spec.out_size, sites.batch)


def found_pairs(inputs: Sites, outputs: Sites, spec: SparseSpec, offset: Axes) -> tuple[Tensor, Tensor]:
    """Give the input rows and the output rows that meet under an offset, int32 of equal length, both increasing.

    Args:
        inputs: sites of the input.
        outputs: sites of the output.
        spec: the geometry.
        offset: of the kernel.
    """
    rows, wanted = _met(inputs, spec, offset)
    others, there = rows_of(outputs.keys, wanted)
    return rows[there].to(torch.int32), others[there].to(torch.int32)


def _met(sites: Sites, spec: SparseSpec, offset: Axes) -> tuple[Tensor, Tensor]:
    """Give the input rows that meet some cell of the output's grid under an offset, and that cell's key."""
    inside = torch.ones(len(sites), dtype=torch.bool, device=sites.coords.device)
    keys = sites.coords[:, 0].long()
    axes = zip(offset, spec.kernel, spec.stride, spec.padding, spec.dilation, spec.out_size, strict=True)
    for axis, (r, k, s, p, d, n) in enumerate(axes, start=1):
        place = sites.coords[:, axis].long()
        if spec.kind == "transposed":
            place = place * s - p + d * r
        elif spec.kind == "submanifold":
            place = place + d * (k // 2 - r)
        else:
            place = place + p - d * r
            inside &= place % s == 0
            place = place.div(s, rounding_mode="floor")
        inside &= (place >= 0) & (place < n)
        keys = keys * n + place
    rows = inside.nonzero()[:, 0]
    return rows, keys[rows]
