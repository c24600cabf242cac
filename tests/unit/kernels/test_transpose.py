import numpy as np
import pytest

from ninefold.kernels.llvm.kernel import build
from ninefold.kernels.llvm.transpose import Axes, Transpose


@pytest.mark.parametrize("order", [(1, 2, 0), (1, 0, 2), (2, 0, 1), (0, 1, 2)])
@pytest.mark.parametrize("missing", [0, 9])
def test_numbers_lie_in_another_order_with_zeros_behind_the_last(bench, rng, order, missing):
    values = bench.numbers(rng.normal(size=(7, 40, 3)))
    x = values.buffer.array.reshape(7, 40, 3).transpose(order)
    filled = x.shape[2] + missing
    y = bench.numbers(np.full((*x.shape[:2], filled), np.nan))
    ours = y.buffer.array.reshape(*x.shape[:2], filled)
    steps = (tuple(size // x.itemsize for size in each.strides) for each in (x, ours))
    table = Axes(x.shape[1:], filled, *steps).table()
    fn = build([Transpose()], bench.target).kernel(Transpose().name)
    for part in ((1, len(x)), (0, 1)):
        fn(values.first, None, None, y.first, table.ctypes.data, None, *part, 0, 1)
    assert np.array_equal(ours[:, :, : x.shape[2]], x)
    assert not ours[:, :, x.shape[2] :].any()
