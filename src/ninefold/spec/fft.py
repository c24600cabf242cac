"""Lengths at which a fast Fourier transform is fast."""

from __future__ import annotations


def good_length(least: int) -> int:
    """Give the smallest length >= `least` whose only prime factors are 2, 3 and 5.

    Every FFT library has fast steps for these three; a prime length can cost ten times its neighbour.

    Args:
        least: >= 1.

    >>> [good_length(n) for n in (1, 7, 11, 127, 1021)]
    [1, 8, 12, 128, 1024]
    """
    best = 1 << max(least - 1, 0).bit_length()
    fives = 1
    while fives < best:
        threes = fives
        while threes < best:
            quotient = -(-least // threes)
            best = min(best, threes << max(quotient - 1, 0).bit_length())
            threes *= 3
        fives *= 5
    return best
