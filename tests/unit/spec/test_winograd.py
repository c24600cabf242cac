"""F(m, r) against the definition, exactly; and its points against each other."""

from fractions import Fraction

import numpy as np
import pytest

from ninefold.errors import InvalidSpec
from ninefold.spec import Winograd

TILES = [(m, r) for m in range(1, 8) for r in range(1, 8) if 3 <= m + r <= 9]
TEXTBOOK = {
    2: (0, 1, -1),
    3: (0, 1, -1, 2),
    4: (0, 1, -1, 2, -2),
    6: (0, 1, -1, 2, -2, Fraction(1, 2), Fraction(-1, 2)),
}


def floats(matrix):
    return np.array([[float(value) for value in row] for row in matrix])


def in_float32(form, kernels, patches):
    """Correlate by the form: weights transformed in float64, the rest in float32, as the kernels do."""
    output, weight, inputs = floats(form.output), floats(form.weight), floats(form.input)
    u = np.einsum("ak,ockl,bl->aboc", weight, kernels, weight).astype("f4")
    v = np.einsum("ai,tcij,bj->abct", *(m.astype("f4") for m in (inputs, patches, inputs)))
    return np.einsum("ma,abot,nb->otmn", output.astype("f4"), u @ v, output.astype("f4"))


@pytest.mark.parametrize(("m", "r"), TILES)
def test_the_matrices_correlate_whole_numbers_exactly(m, r):
    form = Winograd.of(m, r)
    signal = [Fraction(n * n - 3 * n + 1) for n in range(form.size)]
    taps = [Fraction(2 * n - 1, n + 1) for n in range(r)]
    products = [
        sum(g * t for g, t in zip(gs, taps, strict=True)) * sum(b * d for b, d in zip(bs, signal, strict=True))
        for gs, bs in zip(form.weight, form.input, strict=True)
    ]
    got = [sum(a * p for a, p in zip(row, products, strict=True)) for row in form.output]
    assert got == [sum(signal[i + k] * taps[k] for k in range(r)) for i in range(m)]
    assert (form.outputs, form.kernel, form.size) == (m, r, m + r - 1)


def test_the_published_matrices_of_f23_come_out_up_to_the_scale_of_their_rows():
    form = Winograd.of(2, 3)
    published_input = np.array([[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]])
    published_weight = np.array([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]])
    scale = np.array([[-1], [1], [1], [-1]])
    np.testing.assert_array_equal(floats(form.input), scale * published_input)
    np.testing.assert_array_equal(np.abs(floats(form.weight)), np.abs(published_weight))


@pytest.mark.parametrize("m", [2, 3, 4, 6])
def test_every_factor_of_the_transforms_of_inputs_and_outputs_is_exact_in_float32(m):
    form = Winograd.of(m, 3)
    for value in (v for matrix in (form.input, form.output) for row in matrix for v in row):
        assert float(np.float32(float(value))) == value


@pytest.mark.parametrize("m", [2, 3, 4, 6])
def test_the_default_points_grow_errors_no_more_than_the_textbook_ones(m):
    assert Winograd.of(m, 3).growth(2) <= Winograd.of(m, 3, TEXTBOOK[m]).growth(2)


def test_growth_does_not_depend_on_the_scale_of_rows():
    form = Winograd.of(4, 3)
    doubled = tuple(tuple(2 * v for v in row) for row in form.input)
    halved = tuple(tuple(v / 2 for v in row) for row in form.weight)
    assert Winograd(form.points, form.output, halved, doubled).growth(2) == pytest.approx(form.growth(2), rel=1e-12)


@pytest.mark.parametrize("m", [2, 3, 4, 6])
def test_growth_foretells_the_measured_error_within_a_factor_of_two(m):
    rng = np.random.default_rng(0)
    form = Winograd.of(m, 3)
    kernels, patches = rng.standard_normal((8, 64, 3, 3)), rng.standard_normal((60, 64, form.size, form.size))
    windows = np.lib.stride_tricks.sliding_window_view(patches.astype("f4"), (3, 3), axis=(2, 3))  # (T, C, m, m, 3, 3)
    truth = np.einsum("tcmnkl,ockl->otmn", windows.astype("f8"), kernels.astype("f4").astype("f8"))
    taps = [
        np.einsum("tcmn,oc->otmn", windows[..., k, n], kernels[..., k, n].astype("f4"))
        for k in range(3)
        for n in range(3)
    ]
    direct = np.std(sum(taps) - truth)
    assert 0.5 < np.std(in_float32(form, kernels.astype("f4"), patches) - truth) / direct / form.growth(2) < 2


def test_matrices_that_compute_something_else_are_refused():
    form = Winograd.of(2, 3)
    wrong = (form.input[1], form.input[0], *form.input[2:])
    with pytest.raises(InvalidSpec, match=r"F\(2, 3\) multiply kernel element 0 with input 0"):
        Winograd(form.points, form.output, form.weight, wrong)


@pytest.mark.parametrize(
    ("m", "r", "points", "message"),
    [
        (0, 3, None, "wanted m >= 1"),
        (1, 1, None, "m \\+ r >= 3"),
        (9, 3, None, "no default"),
        (2, 3, (0, 1), "needs 3 different points; got 2: 0, 1"),
        (2, 3, (0, 1, 1), "needs 3 different points"),
    ],
)
def test_sizes_and_points_out_of_range_are_refused(m, r, points, message):
    with pytest.raises(InvalidSpec, match=message):
        Winograd.of(m, r, points)
