from itertools import product

import pytest

from ninefold.errors import InvalidSpec
from ninefold.spec import ConvSpec, SparseSpec


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "padding", "dilation"),
    list(product((5, 8), (1, 2, 3), (1, 2), (0, 1), (1, 2))),
)
def test_grids_are_those_of_the_dense_convolution(size, kernel, stride, padding, dilation):
    dense = ConvSpec.of((1, 1, size), (1, 1, kernel), stride=stride, padding=padding, dilation=dilation)
    spec = SparseSpec.of((size,), kernel, stride=stride, padding=padding, dilation=dilation)
    assert spec.out_size == dense.out_size


def test_transposed_grids_are_those_of_the_dense_convolution():
    dense = ConvSpec.of((1, 1, 5), (1, 1, 3), stride=2, padding=1, dilation=2, transposed=True, output_padding=1)
    spec = SparseSpec.of((5,), 3, stride=2, padding=1, dilation=2, kind="transposed", output_padding=1)
    assert spec.out_size == dense.out_size


def test_a_transposed_convolution_meets_the_same_pairs_the_other_way_round():
    down = SparseSpec.of((9, 7), (3, 2), stride=2, padding=1)
    up = SparseSpec.of(down.out_size, (3, 2), stride=2, padding=1, kind="transposed", output_padding=(0, 1))
    assert up.out_size == down.size
    pairs = {
        (site, k, out)
        for site in product(range(9), range(7))
        for k in down.offsets
        if (out := down.output_of(site, k)) is not None
    }
    back = {
        (out, k, site)
        for site in product(*map(range, down.out_size))
        for k in up.offsets
        if (out := up.output_of(site, k)) is not None
    }
    assert pairs == back


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        ({"size": (4,), "kernel": 2, "kind": "submanifold"}, "must be odd"),
        ({"size": (4,), "kernel": 3, "stride": 2, "kind": "submanifold"}, r"stride=\(2,\) 1"),
        ({"size": (2,), "kernel": 5}, "would be"),
        ({"size": (2,) * 5, "kernel": 1}, "1 to 4"),
        ({"size": (4,), "kernel": 0}, "kernel"),
        ({"size": (4,), "kernel": 1, "kind": "valid"}, "submanifold"),
        ({"size": (4,), "kernel": 1, "output_padding": 1}, "output_padding"),
    ],
)
def test_what_cannot_be_is_refused(arguments, part):
    size = arguments.pop("size")
    kernel = arguments.pop("kernel")
    with pytest.raises(InvalidSpec, match=part):
        SparseSpec.of(size, kernel, **arguments)
