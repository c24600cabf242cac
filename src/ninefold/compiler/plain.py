"""Operations and what networks return as plain JSON, and back: nothing is made that is not named here."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Final

import torch
from torch._ops import OpOverload  # the only place where torch keeps it

from ninefold.compiler.graph import Value
from ninefold.compiler.operations import (
    Activation,
    Add,
    BatchNorm,
    ChannelPool,
    Concat,
    Conv,
    Dense,
    Gather,
    LocalResponse,
    Multiply,
    Pad,
    Permute,
    Pool,
    Reference,
    Reshape,
    Resize,
    Scale,
    Shuffle,
    Slice,
    Torch,
    Upsample,
)
from ninefold.errors import Unsupported
from ninefold.records import Logits
from ninefold.spec import ConvSpec


@dataclass(frozen=True, slots=True)
class Leaf:
    """What stands in the place of a tensor or of another thing in what a network takes or gives.

    Args:
        name: of the value; "" for what is no tensor.
        thing: the shape and dtype of an input tensor; what is no tensor, as it is.
    """

    name: str
    thing: Any = None


_OPERATIONS: Final = (
    *(Activation, Add, BatchNorm, ChannelPool, Concat, Conv, Dense, Gather, LocalResponse, Multiply),
    *(Pad, Permute, Pool, Reshape, Resize, Scale, Shuffle, Slice, Torch, Upsample),
)
_RECORDS: Final = {kind.__name__: kind for kind in (*_OPERATIONS, ConvSpec, Value, Leaf)}
_TUPLES: Final = {kind.__name__: kind for kind in (Logits, Reference)}
_WORDS: Final = {
    str(word): word
    for word in vars(torch).values()
    if isinstance(word, torch.dtype | torch.layout | torch.memory_format)
}
# Operators with a leading underscore trust their arguments; these are what torch takes its public ones apart into.
_INNER: Final = frozenset({"_softmax", "_log_softmax", "_to_copy", "_native_batch_norm_legit_no_training"})


def encoded(thing: Any) -> Any:
    """Give what JSON can hold: numbers, words and None as they are, all else as {kind: content}.

    Args:
        thing: an operation, a `Leaf`, or tuples, lists, dicts and `Logits` of them.

    Raises:
        Unsupported: when it, or a part of it, is of another kind.

    >>> encoded(Activation("clamp", (0.0, 6.0)))
    {'Activation': {'kind': 'clamp', 'numbers': {'tuple': [0.0, 6.0]}}}
    >>> decoded(encoded(Activation("clamp", (0.0, 6.0))))
    Activation(kind='clamp', numbers=(0.0, 6.0))
    """
    kind = type(thing)
    if thing is None or kind in (bool, int, float, str):
        return thing
    if kind in _RECORDS.values():
        return {kind.__name__: {part.name: encoded(getattr(thing, part.name)) for part in fields(thing)}}
    if kind in _TUPLES.values():
        return {kind.__name__: [encoded(part) for part in thing]}
    if kind in (tuple, torch.Size):
        return {"tuple": [encoded(part) for part in thing]}
    if isinstance(thing, list):  # torch.fx has its own
        return {"list": [encoded(part) for part in thing]}
    if kind is dict:
        return {"dict": [[encoded(key), encoded(value)] for key, value in thing.items()]}
    return _encoded_of_torch(thing)


def _encoded_of_torch(thing: Any) -> Any:
    if isinstance(thing, torch.dtype | torch.layout | torch.memory_format):
        return {"word": str(thing)}
    if isinstance(thing, torch.device) and thing.type == "cpu":
        return {"device": "cpu"}
    if isinstance(thing, OpOverload):
        if reason := _why_not(thing):
            raise Unsupported(f"the operator {thing} cannot be saved: {reason}; save the model without it")
        return {"aten": str(thing).removeprefix("aten.")}
    raise Unsupported(
        f"{thing!r} cannot be saved, being of {type(thing)}; wanted numbers, words, tuples, lists, dicts or Logits"
    )


def decoded(data: Any) -> Any:
    """Give back what `encoded` was given.

    Raises:
        ValueError: when the data are nothing that `encoded` gives; what other records raise passes through.
    """
    if data is None or isinstance(data, bool | int | float | str):
        return data
    ((kind, content),) = data.items()
    if kind in _RECORDS:
        return _RECORDS[kind](**{name: decoded(part) for name, part in content.items()})
    if kind in _TUPLES:
        return _TUPLES[kind](*[decoded(part) for part in content])
    if kind in ("tuple", "list"):
        return (tuple if kind == "tuple" else list)(decoded(part) for part in content)
    if kind == "dict":
        return {decoded(key): decoded(value) for key, value in content}
    if kind == "word" and content in _WORDS:
        return _WORDS[content]
    if kind == "device" and content == "cpu":
        return torch.device("cpu")
    if kind == "aten":
        return _operator(content)
    raise ValueError(f"nothing is called {kind} {content!r:.60}")


def _operator(name: str) -> OpOverload:
    packet, overload = name.split(".")
    operator = getattr(getattr(torch.ops.aten, packet, None), overload, None)
    if not isinstance(operator, OpOverload):
        raise ValueError(f"torch has no operator aten.{name}")  # noqa: TRY004  # the file is wrong, not a type
    if reason := _why_not(operator):
        raise ValueError(f"the operator aten.{name} is not run from a file: {reason}")
    return operator


def _why_not(operator: OpOverload) -> str:
    """Say why an operator is not run from a file, or ""."""
    schema = operator._schema  # noqa: SLF001  # torch has no other door to it
    namespace, name = schema.name.split("::")
    if namespace != "aten":
        return "it is none of torch's own"
    if name.startswith("_") and name not in _INNER:
        return "it is internal to torch"
    if schema.is_mutable:
        return "it changes what it reads"
    if any(argument.name == "filename" for argument in schema.arguments):
        return "it opens files"
    return ""
