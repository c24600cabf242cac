import copy
import gc
import pickle
import tracemalloc
import weakref

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ninefold import reference
from ninefold.errors import InvalidInput
from ninefold.sparse import Sites, conv, kernel_map
from ninefold.spec import SparseSpec


@st.composite
def specs(draw):
    dims = draw(st.integers(1, 4))
    axis = lambda low, high: tuple(draw(st.integers(low, high)) for _ in range(dims))  # noqa: E731
    kind = draw(st.sampled_from(("sparse", "submanifold", "transposed")))
    dilation = axis(1, 2)
    if kind == "submanifold":
        kernel = tuple(draw(st.sampled_from((1, 3))) for _ in range(dims))
        return SparseSpec(axis(1, 5), kernel, (1,) * dims, (0,) * dims, dilation, kind)
    kernel = axis(1, 3)
    size = tuple(n + d * (k - 1) for n, k, d in zip(axis(1, 4), kernel, dilation, strict=True))
    padding = axis(0, 1) if kind == "sparse" else (0,) * dims
    return SparseSpec(size, kernel, axis(1, 2), padding, dilation, kind)


def drawn_sites(spec, share, seed):
    random = np.random.default_rng(seed)
    coords = torch.from_numpy(np.argwhere(random.random((2, *spec.size)) < share))
    return Sites.of(coords.reshape(-1, 1 + spec.dims), spec.size, 2)[0]


@given(specs(), st.sampled_from((0.0, 0.1, 0.5, 1.0)), st.integers(0, 2**32 - 1))
def test_pairs_and_sites_are_those_of_the_rulebook(spec, share, seed):
    sites = drawn_sites(spec, share, seed)
    pairs = kernel_map(sites, spec)
    book = reference.rulebook(sites.coords.tolist(), spec)
    assert pairs.outputs.coords.tolist() == [list(site) for site in book.sites]
    assert pairs.volume == spec.volume
    for k, rules in enumerate(book.rules):
        i, o = pairs.pairs(k)
        assert sorted(zip(i.tolist(), o.tolist(), strict=True)) == sorted(rules)
        assert (i.diff() > 0).all()
        assert (o.diff() > 0).all()
    assert pairs.count == sum(map(len, book.rules))


def test_the_same_sites_and_geometry_share_their_pairs_which_go_with_the_sites():
    spec = SparseSpec.of((5, 5), 3, kind="submanifold")
    sites = drawn_sites(spec, 0.5, 0)
    found = kernel_map(sites, spec)
    assert kernel_map(sites, SparseSpec.of((5, 5), 3, kind="submanifold")).in_rows is found.in_rows
    gone = weakref.ref(found.in_rows)
    gc.disable()
    try:
        del sites, found
        assert gone() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda value: pickle.loads(pickle.dumps(value))])
def test_copies_find_anew_what_is_kept_by_its_address(copied):
    spec = SparseSpec.of((6, 6), 3, stride=2)
    pairs = kernel_map(drawn_sites(spec, 0.5, 0), spec)
    x, weight = torch.randn(len(pairs.inputs), 2), torch.randn(2, 3, 3, 2)
    y = conv(x, weight, None, pairs)
    assert pairs.memory
    assert pairs.inputs.memory
    other = copied(pairs)
    assert not other.memory
    assert not copied(pairs.inputs).memory
    assert torch.equal(conv(x, weight, None, other), y)
    assert other.swapped.inputs is other.outputs


def test_a_swapped_map_leads_back():
    sites = drawn_sites(SparseSpec.of((6, 6), 2, stride=2), 0.4, 1)
    down = kernel_map(sites, SparseSpec.of((6, 6), 2, stride=2))
    assert down.swapped.inputs is down.outputs
    assert down.swapped.swapped.inputs is down.inputs
    for k in range(4):
        assert torch.equal(down.swapped.pairs(k)[0], down.pairs(k)[1])


def test_sites_of_another_grid_are_refused():
    sites = drawn_sites(SparseSpec.of((6, 6), 1), 0.4, 1)
    with pytest.raises(InvalidInput, match=r"\(6, 6\)"):
        kernel_map(sites, SparseSpec.of((5, 6), 3, kind="submanifold"))


@pytest.mark.parametrize(
    ("size", "options"),
    [
        ((2**30,), {"stride": 2, "padding": 1}),
        ((3, 2**31 - 1), {"stride": 2, "padding": (1, 0)}),
        ((2**30,), {"kind": "transposed"}),
        ((4, 4, 4, 4), {"kind": "submanifold", "dilation": (1, 2**21, 2**21, 2**21)}),
        ((1, 1, 2**30, 2**31 - 1), {"kind": "submanifold"}),
    ],
)
def test_grids_of_any_size_have_the_pairs_of_the_rulebook(size, options):
    spec = SparseSpec.of(size, 3, **options)
    axes = [torch.tensor(sorted({0, min(1, n - 1), n // 2, n - 1})) for n in size]
    sites, _ = Sites.of(torch.cartesian_prod(torch.arange(2), *axes), size)
    found = kernel_map(sites, spec)
    book = reference.rulebook(sites.coords.tolist(), spec)
    assert found.outputs.coords.tolist() == [list(site) for site in book.sites]
    pairs = [list(zip(*(side.tolist() for side in found.pairs(k)), strict=True)) for k in range(spec.volume)]
    assert pairs == [sorted(rules) for rules in book.rules]


def test_an_axis_of_many_cells_takes_memory_for_the_pairs_only():
    sites, _ = Sites.of(torch.tensor([[0, 0], [0, 2**29]]), (2**30,))
    tracemalloc.start()
    kernel_map(sites, SparseSpec.of((2**30,), 3, stride=2, padding=1))
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 2**20


def test_an_output_whose_coordinates_do_not_fit_is_refused():
    sites, _ = Sites.of(torch.tensor([[0, 2**31 - 2]]), (2**31 - 1,))
    with pytest.raises(InvalidInput, match=r"1 grids of \(4294967294,\) came"):
        kernel_map(sites, SparseSpec.of((2**31 - 1,), 2, stride=2, kind="transposed"))
