"""Sparse convolution with nothing but dictionaries and loops: two tables of sites and a book of rules.

The input's table says which row of the features belongs to which site; the output's table is found by asking, for
every input site and kernel offset, which output site meets it there. What met whom is written down, offset by offset:
that is the rulebook. Convolution and its gradients are then three ways to walk through it:

    forward              y[o] += x[i] @ w[k]          for every rule (i, o) of every offset k
    input gradient      dx[i] += dy[o] @ w[k].T
    weight gradient     dw[k] += outer(x[i], dy[o])

Source: B. Graham, M. Engelcke, L. van der Maaten, "3D Semantic Segmentation with Submanifold Sparse Convolutional
Networks", CVPR 2018, section 4.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from ninefold.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ninefold.reference.arrays import Array
    from ninefold.spec import SparseSpec

Site = tuple[int, ...]  # (picture, coordinate per axis)
Rule = tuple[int, int]  # (input row, output row)


class Rulebook(NamedTuple):
    """Which input row meets which output row.

    Args:
        sites: the output's, in the order of its rows: for a submanifold convolution the input's own order, else sorted.
        rules: per kernel offset, in the order of `SparseSpec.offsets`, pairs (input row, output row).
    """

    sites: tuple[Site, ...]
    rules: tuple[tuple[Rule, ...], ...]


def site_table(sites: Iterable[Sequence[int]]) -> dict[Site, int]:
    """Give the hash table from site to row.

    Args:
        sites: (picture, coordinate per axis), no two alike.

    Raises:
        InvalidInput: naming two rows of the same site.

    >>> site_table([(0, 4, 2), (0, 1, 1)])
    {(0, 4, 2): 0, (0, 1, 1): 1}
    """
    table: dict[Site, int] = {}
    for row, site in enumerate(sites):
        key = tuple(int(c) for c in site)
        if key in table:
            raise InvalidInput(f"rows {table[key]} and {row} are both site {key}; give every site once")
        table[key] = row
    return table


# --8<-- [start:rulebook]
def rulebook(sites: Iterable[Sequence[int]], spec: SparseSpec) -> Rulebook:
    """Find the output's sites, and which input row meets which output row under which kernel offset.

    Args:
        sites: of the input, (picture, coordinate per axis), inside `spec.size` and no two alike.
        spec: the geometry.

    Raises:
        InvalidInput: when a site is outside the grid or comes twice.

    >>> from ninefold.spec import SparseSpec
    >>> line = [(0, 1), (0, 2), (0, 6)]
    >>> rulebook(line, SparseSpec.of((8,), 3, kind="submanifold")).rules
    (((0, 1),), ((0, 0), (1, 1), (2, 2)), ((1, 0),))
    >>> rulebook(line, SparseSpec.of((8,), 2, stride=2))
    Rulebook(sites=((0, 0), (0, 1), (0, 3)), rules=(((1, 1), (2, 2)), ((0, 0),)))
    """
    inputs = site_table(sites)
    for site, row in inputs.items():
        if not all(0 <= c < n for c, n in zip(site[1:], spec.size, strict=True)) or site[0] < 0:
            raise InvalidInput(f"row {row} is site {site}, outside a grid of {spec.size}")
    met = [
        [(row, (site[0], *out)) for site, row in inputs.items() if (out := spec.output_of(site[1:], k)) is not None]
        for k in spec.offsets
    ]
    if spec.kind == "submanifold":
        outputs = inputs
    else:
        outputs = {site: row for row, site in enumerate(sorted({site for rules in met for _, site in rules}))}
    rules = tuple(tuple((row, outputs[site]) for row, site in pairs if site in outputs) for pairs in met)
    return Rulebook(tuple(outputs), rules)


# --8<-- [end:rulebook]
def sparse_convolve(x: Array, weight: Array, bias: Array | None, book: Rulebook) -> Array:
    """Give y[o] = b + sum over offsets k and rules (i, o) of k of  x[i] @ w[k].

    Args:
        x: (N, C), a row per input site.
        weight: (K, C, O), a matrix per kernel offset.
        bias: (O,), or None for none.
        book: of the convolution.

    Returns:
        (M, O), a row per output site.
    """
    y = np.zeros((len(book.sites), weight.shape[2]), x.dtype)
    for w, rules in zip(weight, book.rules, strict=True):
        for i, o in rules:
            y[o] += x[i] @ w
    return y if bias is None else y + bias


def sparse_input_gradient(dy: Array, weight: Array, book: Rulebook, rows: int) -> Array:
    """Give dx[i] = sum over offsets k and rules (i, o) of k of  dy[o] @ w[k].T.

    Args:
        dy: (M, O), of the output.
        weight: (K, C, O).
        book: of the convolution.
        rows: N, the number of input sites.

    Returns:
        (N, C).
    """
    dx = np.zeros((rows, weight.shape[1]), dy.dtype)
    for w, rules in zip(weight, book.rules, strict=True):
        for i, o in rules:
            dx[i] += dy[o] @ w.T
    return dx


def sparse_weight_gradient(x: Array, dy: Array, book: Rulebook) -> Array:
    """Give dw[k] = sum over rules (i, o) of k of  outer(x[i], dy[o]).

    Args:
        x: (N, C), of the input.
        dy: (M, O), of the output.
        book: of the convolution.

    Returns:
        (K, C, O).
    """
    dw = np.zeros((len(book.rules), x.shape[1], dy.shape[1]), x.dtype)
    for k, rules in enumerate(book.rules):
        for i, o in rules:
            dw[k] += np.outer(x[i], dy[o])
    return dw


def sparse_pool(x: Array, book: Rulebook, kind: Literal["max", "mean", "sum"]) -> Array:
    """Give the largest, the mean or the sum of the rows that meet each output site; absent sites do not count.

    Args:
        x: (N, C), a row per input site.
        book: of the pooling; every output site is met at least once.
        kind: what is taken.

    Returns:
        (M, C), a row per output site.
    """
    met = _met(book)
    reduce = {"max": np.max, "mean": np.mean, "sum": np.sum}[kind]
    return np.array([reduce(x[rows], axis=0) for rows in met], x.dtype).reshape(len(met), x.shape[1])


def sparse_pool_backward(x: Array, dy: Array, book: Rulebook, kind: Literal["max", "mean", "sum"]) -> Array:
    """Give the gradient of `sparse_pool`: the first largest row takes all, mean and sum share it out.

    Args:
        x: (N, C), as it was pooled.
        dy: (M, C), of the output.
        book: of the pooling.
        kind: what was taken.

    Returns:
        (N, C).
    """
    dx = np.zeros_like(x)
    for o, rows in enumerate(_met(book)):
        if kind == "max":
            largest = np.array(rows)[x[rows].argmax(axis=0)]  # (C,)
            dx[largest, np.arange(x.shape[1])] += dy[o]
        else:
            dx[rows] += dy[o] / (len(rows) if kind == "mean" else 1)
    return dx


def _met(book: Rulebook) -> list[list[int]]:
    """Give the input rows that meet each output row, in the order of the offsets."""
    met: list[list[int]] = [[] for _ in book.sites]
    for rules in book.rules:
        for i, o in rules:
            met[o].append(i)
    return met
