"""Widths: numbers of channels that a multiplier has changed."""


def make_divisible(channels: float, divisor: int = 8) -> int:
    """Round a number of channels to a multiple, and up where that would lose more than a tenth of it.

    Args:
        channels: the number wanted, > 0.
        divisor: what the result is a multiple of, >= 1.

    Returns:
        The nearest multiple of `divisor`, at least one; the next higher one where that is below 0.9 * channels.

    Source: the rule of the MobileNets from V2 on, as in their authors' code; the papers do not tell it.

    >>> make_divisible(24 * 0.5), make_divisible(32 * 0.35), make_divisible(1)
    (16, 16, 8)
    """
    nearest = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return nearest if nearest >= 0.9 * channels else nearest + divisor
