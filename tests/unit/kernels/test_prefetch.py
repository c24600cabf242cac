"""Prefetching: nothing is changed and nothing fails, wherever addresses lead."""

import numpy as np

from ninefold.kernels.llvm.prefetch import Prefetch


def test_objects_are_what_they_were_and_pointers_to_nowhere_do_no_harm():
    numbers = np.random.default_rng(0).integers(-(2**63), 2**63, 4096)  # read as pointers
    before = numbers.copy()
    Prefetch(range(numbers.ctypes.data, numbers.ctypes.data + numbers.nbytes - 64, 64))()
    assert (numbers == before).all()
