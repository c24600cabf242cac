"""Local response normalisation, held to torch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from ninefold.errors import InvalidSpec, Unsupported
from ninefold.kernels.llvm.layout import Blocked
from ninefold.kernels.llvm.response import EXPONENTS, LocalResponse


@pytest.mark.parametrize("shape", [(3, 1, 1), (16, 4, 5), (37, 3, 6), (96, 2, 3)], ids=str)
@pytest.mark.parametrize("size", [1, 4, 5])
def test_it_is_what_torch_does(bench, rng, shape, size):
    values = rng.normal(0, 3, shape).astype(np.float32)
    x, y = bench.maps(values, (1, 0, 0, 1)), bench.empty(*shape, (0, 1, 2, 0))
    for beta in EXPONENTS:
        kernel = LocalResponse(x.layout, y.layout, size, 0.3, beta, 1.5)
        a, b = kernel.grid
        bench.run(kernel, x, y, parts=[(i, i + 1, j, j + 1) for i in reversed(range(a)) for j in reversed(range(b))])
        wanted = F.local_response_norm(torch.from_numpy(values)[None], size, 0.3, beta, 1.5)[0]
        np.testing.assert_allclose(y.read(), wanted, rtol=2e-6, atol=1e-6)
        assert y.border_is(np.nan)


def test_other_exponents_far_windows_and_other_sizes_are_refused(target):
    maps = Blocked(40, 2, 2, target.lanes)
    with pytest.raises(Unsupported, match=r"beta=0\.8 came"):
        LocalResponse(maps, maps, 5, 1.0, 0.8, 1.0).functions(target)
    with pytest.raises(Unsupported, match="reach into the next"):
        LocalResponse(maps, maps, 2 * target.lanes + 2, 1.0, 0.5, 1.0).functions(target)
    with pytest.raises(InvalidSpec, match="was wanted"):
        LocalResponse(maps, Blocked(40, 2, 3, target.lanes), 5, 1.0, 0.5, 1.0)
