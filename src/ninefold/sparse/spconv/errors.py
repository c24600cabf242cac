"""What the drop-in refuses, under the types that its users catch."""

from ninefold.errors import InvalidInput, Unsupported


class Refused(InvalidInput, AssertionError):
    """A call that cannot be right; an AssertionError too, because that is what spconv raises for most of them."""


def no_int8(what: str) -> Unsupported:
    """Build the error for whatever asks for quantised numbers.

    Args:
        what: asks for them.

    >>> str(no_int8("scale"))
    'scale asks for int8, and Ninefold computes with floating point only; take float16 or bfloat16 for half the memory'
    """
    return Unsupported(
        f"{what} asks for int8, and Ninefold computes with floating point only; take float16 or bfloat16 for half the "
        "memory"
    )
