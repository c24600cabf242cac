"""Searching with torch, as devices other than the CPU do, finds what the native code finds."""

import pytest
import torch

from ninefold.sparse import Sites, kernel_map
from ninefold.sparse.search import found_pairs, output_sites
from ninefold.spec import SparseSpec


@pytest.mark.parametrize(
    "spec",
    [
        SparseSpec.of((9, 7, 8), 3, kind="submanifold"),
        SparseSpec.of((9, 7, 8), (3, 5, 3), dilation=(1, 1, 2), kind="submanifold"),
        SparseSpec.of((9, 7, 8), 3, stride=2, padding=1),
        SparseSpec.of((9, 7, 8), (2, 3, 1), stride=(3, 1, 2), dilation=(1, 2, 1)),
        SparseSpec.of((9, 7, 8), 3, stride=2, padding=1, kind="transposed"),
    ],
    ids=str,
)
def test_it_finds_what_the_native_code_finds(spec):
    torch.manual_seed(0)
    sites, _ = Sites.of((torch.rand(2, *spec.size) < 0.2).nonzero(), spec.size, 2)
    wanted = kernel_map(sites, spec)
    outputs = sites if spec.kind == "submanifold" else output_sites(sites, spec)
    assert torch.equal(outputs.coords, wanted.outputs.coords)
    for k, offset in enumerate(spec.offsets):
        for one, other in zip(found_pairs(sites, outputs, spec, offset), wanted.pairs(k), strict=True):
            assert torch.equal(one, other)
