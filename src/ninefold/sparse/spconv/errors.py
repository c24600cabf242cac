"""What the drop-in refuses, under the types that its users catch."""

from ninefold.errors import InvalidInput


class Refused(InvalidInput, AssertionError):
    """A call that cannot be right; an AssertionError too, because that is what spconv raises for most of them."""
