"""Random numbers that depend on nothing but their key: the same in every process, batch size and version of NumPy."""

from __future__ import annotations

from zlib import crc32

import numpy as np

_STEP, _FIRST, _SECOND = (np.uint64(c) for c in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))


def mix(*words: int | np.ndarray) -> np.ndarray:
    """Hash whole numbers into 64 bits; arrays are hashed element by element and broadcast against each other.

        h <- finish((h xor word) + step), word by word from h = 0

    Args:
        words: whole numbers in [0, 2^64), or arrays of them.

    Returns:
        uint64, at least one-dimensional, of the words' common shape.

    Source: G. Steele, D. Lea, C. Flood, "Fast Splittable Pseudorandom Number Generators", OOPSLA 2014, section 4; the
    step and the finisher are theirs (SplitMix64), chaining several words through them is ours.

    >>> int(mix(0)[0]) == 0xE220A8397B1DCDAF
    True
    """
    state = np.zeros(1, np.uint64)
    for word in words:
        state = (state ^ np.asarray(word, np.uint64)) + _STEP
        state = (state ^ (state >> np.uint64(30))) * _FIRST
        state = (state ^ (state >> np.uint64(27))) * _SECOND
        state = state ^ (state >> np.uint64(31))
    return state


def uniform(keys: np.ndarray, purpose: str, count: int) -> np.ndarray:
    """Draw `count` numbers per key, evenly spread over [0, 1); another purpose gives independent numbers.

    Args:
        keys: (N,) whole numbers in [0, 2^64).
        purpose: what the numbers are for, such as "flip".
        count: numbers per key, >= 0.

    Returns:
        float64 (N, count).
    """
    bits = mix(keys[:, None], crc32(purpose.encode()), np.arange(count))
    return (bits >> np.uint64(11)) * 2.0**-53
