"""Run one picture that has no data through a network that has none, and add up what its layers cost."""

from __future__ import annotations

import copy
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from ninefold.errors import InvalidInput, InvalidSpec, NinefoldError, Unsupported
from ninefold.nn.summary.trace import Trace

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ninefold.nn.summary.trace import LayerRow


@dataclass(frozen=True, slots=True)
class Summary:
    """What one picture costs on its way through a network.

    Args:
        input_shape: (C, H, W) of the picture.
        rows: one per layer, in the order in which they ran; pure reshapes and what is idle in evaluation are no layers.
        parameters: numbers in `model.parameters()`, shared ones counted once; those that evaluation does not reach,
            such as side heads of training, are in no row.
        macs: multiply-accumulates of all convolutions and dense layers.
        largest_activation: values in the largest output of a row, or in the picture if that is larger.
        weight_bytes: of all parameters and buffers.
        activation_bytes: of the picture and the values made from it, where most of them are needed at the same time:
            each from the operation that makes it to the last one that reads it. What an operation needs inside itself
            is not counted.
    """

    input_shape: tuple[int, ...]
    rows: tuple[LayerRow, ...]
    parameters: int
    macs: int
    largest_activation: int
    weight_bytes: int
    activation_bytes: int


def summarize(model: nn.Module, input_shape: Sequence[int]) -> Summary:
    """Follow one picture through `model` in evaluation, on torch's meta device: shapes only, no arithmetic.

    The model itself is not touched: a copy whose tensors hold no data runs.

    Args:
        model: any module that maps (N, C, *size) to whatever it returns.
        input_shape: (C, H, W), or (C, *size) with 1 or 3 axes; each >= 1.

    Returns:
        The layers and their totals.

    Raises:
        InvalidInput: when the picture does not fit the network, and the message names the layer and its input there; or
            when a layer is lazy and has no shape yet.
        Unsupported: when the network reads values to decide what to compute, so shapes alone are not enough.

    >>> net = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 4 * 4, 10))
    >>> summary = summarize(net, (3, 4, 4))
    >>> [(row.kind, row.output_shape, row.parameters, row.macs) for row in summary.rows]
    [('Conv2d', (8, 4, 4), 224, 3456), ('ReLU', (8, 4, 4), 0, 0), ('Linear', (10,), 1290, 1280)]
    >>> summary.parameters, summary.macs, summary.largest_activation
    (1514, 4736, 128)
    """
    shape = tuple(input_shape)
    if len(shape) not in (2, 3, 4) or min(shape) < 1:
        raise InvalidInput(f"input_shape={shape} is no picture; wanted (channels, height, width), each at least 1")
    bare = _without_data(model).eval()
    dtype = next((p.dtype for p in bare.parameters() if p.is_floating_point()), torch.float32)
    picture = torch.empty((1, *shape), dtype=dtype, device="meta")
    trace = Trace(bare, picture)
    with torch.no_grad(), _told_in_a_sentence(trace), trace:
        bare(picture)
    return Summary(
        input_shape=shape,
        rows=tuple(trace.rows),
        parameters=sum(p.numel() for p in bare.parameters()),
        macs=sum(row.macs for row in trace.rows),
        largest_activation=max([picture.numel(), *(row.values for row in trace.rows)]),
        weight_bytes=sum(tensor.nbytes for tensor in chain(bare.parameters(), bare.buffers())),
        activation_bytes=trace.lifetimes.peak(),
    )


def _without_data(model: nn.Module) -> nn.Module:
    """Copy `model` with every parameter and buffer on the meta device; what is shared stays shared."""
    memo: dict[int, object] = {}
    for tensor in chain(model.parameters(), model.buffers()):
        if is_lazy(tensor):
            raise InvalidInput(
                f"{type(model).__name__} has lazy layers without a shape yet; run one picture through it first"
            )
        bare = torch.empty_like(tensor, device="meta", requires_grad=False)
        memo[id(tensor)] = nn.Parameter(bare, requires_grad=False) if isinstance(tensor, nn.Parameter) else bare
    return copy.deepcopy(model, memo)


@contextmanager
def _told_in_a_sentence(trace: Trace) -> Iterator[None]:
    try:
        yield
    except InvalidSpec as error:
        raise InvalidInput(f"{trace.place()}: {error}") from error
    except NinefoldError:
        raise
    except NotImplementedError as error:
        raise Unsupported(f"{trace.place()}: this needs the values, and a summary has only shapes") from error
    except (RuntimeError, ValueError, IndexError) as error:
        first_line = str(error).strip().partition("\n")[0].rstrip(".")
        raise InvalidInput(f"{trace.place()}: {first_line}; another input size may fit") from error
