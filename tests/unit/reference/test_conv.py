"""Convolution: held to the literal loops, to torch, to NumPy, to its adjoint and to finite differences."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from ninefold.errors import InvalidInput, InvalidSpec
from ninefold.reference import (
    bias_gradient,
    conv_transpose,
    convolve,
    convolve_single,
    correlate,
    correlate_loops,
    correlate_single,
    input_gradient,
    run,
    weight_gradient,
)
from ninefold.spec import ConvSpec

CONV = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
CONV_TRANSPOSE = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}


@st.composite
def specs(draw, transposed, dims=(1, 2, 3)):
    """Draw a small convolution of any stride, dilation, groups and padding per side."""
    axes = draw(st.sampled_from(dims))

    def per_axis(low, high):
        return tuple(draw(st.integers(low, high)) for _ in range(axes))

    groups = draw(st.integers(1, 3))
    stride, dilation = per_axis(1, 3), per_axis(1, 2)
    limits = [max(pair) - 1 for pair in zip(stride, dilation, strict=True)]
    try:
        return ConvSpec(
            batch=draw(st.integers(0, 2)),
            in_channels=groups * draw(st.integers(1, 2)),
            out_channels=groups * draw(st.integers(1, 2)),
            in_size=per_axis(1, 5),
            kernel=per_axis(1, 3),
            stride=stride,
            padding=tuple(zip(per_axis(0, 3), per_axis(0, 3), strict=True)),
            dilation=dilation,
            groups=groups,
            transposed=transposed,
            output_padding=tuple(draw(st.integers(0, m)) for m in limits) if transposed else (),
        )
    except InvalidSpec:
        assume(False)  # hypothesis's own way to reject a draw


def data(spec):
    rng = np.random.default_rng(1)
    return tuple(
        rng.normal(size=s) for s in (spec.input_shape, spec.weight_shape, spec.out_channels, spec.output_shape)
    )


def torch_run(x, weight, bias, spec):
    if not spec.transposed:
        pads = [n for pair in reversed(spec.padding) for n in pair]
        return CONV[spec.dims](F.pad(x, pads), weight, bias, spec.stride, 0, spec.dilation, spec.groups)
    whole = CONV_TRANSPOSE[spec.dims](x, weight, bias, spec.stride, 0, spec.output_padding, spec.groups, spec.dilation)
    cuts = [slice(before, before + n) for (before, _), n in zip(spec.padding, spec.out_size, strict=True)]
    return whole[..., *cuts]


def assert_torch_agrees(spec):
    x, weight, bias, grad = data(spec)
    tensors = [torch.tensor(a, requires_grad=True) for a in (x, weight, bias)]
    y = torch_run(*tensors, spec)
    gradients = torch.autograd.grad(y, tensors, torch.tensor(grad))
    ours = (input_gradient(grad, weight, spec), weight_gradient(x, grad, spec), bias_gradient(grad))
    for got, wanted in zip((run(x, weight, bias, spec), *ours), (y, *gradients), strict=True):
        np.testing.assert_allclose(got, wanted.detach().numpy(), rtol=1e-10, atol=1e-10)


@given(specs(transposed=False, dims=(1, 2)))
@settings(max_examples=60)
def test_the_vectorised_form_is_the_literal_definition(spec):
    x, weight, _, _ = data(spec)
    loops = correlate_loops(
        x, weight, stride=spec.stride, padding=spec.padding, dilation=spec.dilation, groups=spec.groups
    )
    np.testing.assert_allclose(run(x, weight, None, spec), loops, rtol=1e-12, atol=1e-12)


@given(specs(transposed=False))
@settings(max_examples=100)
def test_torch_agrees_on_dense_convolutions_and_their_gradients(spec):
    assert_torch_agrees(spec)


@given(specs(transposed=True))
@settings(max_examples=100)
def test_torch_agrees_on_transposed_convolutions_and_their_gradients(spec):
    assert_torch_agrees(spec)


UNREACHED = ConvSpec.of((1, 1, 1), (1, 1, 2), dilation=2, padding=((0, 1),), output_padding=1, transposed=True)


@example(UNREACHED)  # padding cuts off the very output that no input reaches
@given(st.booleans().flatmap(lambda transposed: specs(transposed=transposed)))
@settings(max_examples=100)
def test_the_adjoint_spec_moves_the_kernel_to_the_other_side_of_the_inner_product(spec):
    x, weight, _, grad = data(spec)
    adjoint = spec.input_gradient()
    reached = grad[..., *(slice(n) for n in adjoint.in_size)]
    left = np.vdot(run(x, weight, None, spec), grad)
    np.testing.assert_allclose(left, np.vdot(x, run(reached, weight, None, adjoint)), rtol=1e-10, atol=1e-10)


def test_a_value_of_infinity_reaches_only_the_windows_that_meet_it():
    x = np.array([[[1.0, 2.0, np.inf, 4.0, 5.0]]])
    y = correlate(x, np.ones((1, 1, 2)))
    np.testing.assert_array_equal(y[0, 0], [3.0, np.inf, np.inf, 9.0])


@pytest.mark.parametrize("transposed", [False, True])
def test_gradients_are_the_slopes_of_finite_differences(slope, close, transposed):
    spec = ConvSpec.of(
        (2, 4, 5, 6),
        (4, 2, 3, 2),
        stride=(2, 1),
        padding=((0, 2), (1, 0)),
        dilation=(1, 2),
        groups=2,
        transposed=transposed,
    )
    x, weight, bias, grad = data(spec)
    close(input_gradient(grad, weight, spec), slope(lambda v: run(v, weight, bias, spec), x, grad), 1e-6)
    close(weight_gradient(x, grad, spec), slope(lambda v: run(x, v, bias, spec), weight, grad), 1e-6)
    close(bias_gradient(grad), slope(lambda v: run(x, weight, v, spec), bias, grad), 1e-6)


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
@pytest.mark.parametrize("size", [(4,), (4, 5), (3, 4, 5)])
def test_the_modes_are_those_of_numpy_and_torch(rng, size):
    x, weight = rng.normal(size=(1, 2, *size)), rng.normal(size=(3, 2, *(min(3, n - 1) for n in size)))
    for mode in ("valid", "same"):
        wanted = CONV[len(size)](torch.tensor(x), torch.tensor(weight), padding=mode)
        np.testing.assert_allclose(correlate(x, weight, padding=mode), wanted.numpy(), rtol=1e-12)
    full = CONV[len(size)](torch.tensor(x), torch.tensor(weight), padding=[k - 1 for k in weight.shape[2:]])
    np.testing.assert_allclose(correlate(x, weight, padding="full"), full.numpy(), rtol=1e-12)


@pytest.mark.parametrize("mode", ["valid", "full"])
@pytest.mark.parametrize("length", [1, 2, 3, 4])
def test_convolve_flips_the_kernel_as_numpy_does(rng, mode, length):
    x, kernel = rng.normal(size=7), rng.normal(size=length)
    np.testing.assert_allclose(convolve_single(x, kernel, mode), np.convolve(x, kernel, mode), rtol=1e-12)
    np.testing.assert_allclose(correlate_single(x, kernel, mode), np.correlate(x, kernel, mode), rtol=1e-12)


def test_an_even_kernel_in_mode_same_has_its_odd_zero_after_the_input():
    np.testing.assert_array_equal(convolve_single([1, 2, 3], [1, 10], "same"), [12, 23, 30])
    np.testing.assert_array_equal(np.convolve([1, 2, 3], [1, 10], "same"), [1, 12, 23])


def test_convolve_takes_bias_stride_dilation_and_groups(rng):
    x, weight, bias = rng.normal(size=(1, 4, 9)), rng.normal(size=(2, 2, 3)), rng.normal(size=2)
    got = convolve(x, weight, bias, stride=2, padding=1, dilation=2, groups=2)
    wanted = correlate(x, weight[:, :, ::-1], bias, stride=2, padding=1, dilation=2, groups=2)
    np.testing.assert_array_equal(got, wanted)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.longdouble])
def test_every_float_dtype_is_computed_in_itself(dtype):
    spec = ConvSpec.of((2, 2, 6), (3, 2, 3), stride=2, padding=1)
    x, weight, bias, grad = (a.astype(dtype) for a in data(spec))
    exact = data(spec)
    results = (
        (run(x, weight, bias, spec), run(*exact[:3], spec)),
        (input_gradient(grad, weight, spec), input_gradient(exact[3], exact[1], spec)),
        (weight_gradient(x, grad, spec), weight_gradient(exact[0], exact[3], spec)),
        (bias_gradient(grad), bias_gradient(exact[3])),
    )
    for got, wanted in results:
        assert got.dtype == dtype
        np.testing.assert_allclose(got, wanted, rtol=0, atol=20 * max(np.finfo(dtype).eps, 1e-16))


def test_conv_transpose_takes_what_torch_takes(rng):
    x, weight, bias = rng.normal(size=(2, 4, 5)), rng.normal(size=(4, 3, 3)), rng.normal(size=6)
    got = conv_transpose(x, weight, bias, stride=2, padding=1, output_padding=1, dilation=2, groups=2)
    wanted = F.conv_transpose1d(*map(torch.tensor, (x, weight, bias)), 2, 1, 1, 2, 2)
    np.testing.assert_allclose(got, wanted.numpy(), rtol=1e-12)


def test_inputs_are_left_as_they_were():
    spec = ConvSpec.of((1, 1, 4), (1, 1, 2))
    arrays = data(spec)
    copies = [a.copy() for a in arrays]
    x, weight, bias, grad = arrays
    run(x, weight, bias, spec), input_gradient(grad, weight, spec), weight_gradient(x, grad, spec)
    for array, copy in zip(arrays, copies, strict=True):
        np.testing.assert_array_equal(array, copy)


SMALL = ConvSpec.of((1, 1, 3), (1, 1, 2))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: correlate(np.zeros((1, 1, 2, 2)), np.zeros((1, 1, 3, 3))), "does not fit"),
        (lambda: correlate(np.zeros((1, 3, 4)), np.zeros((1, 2, 3))), "does not meet an input of 3 channels"),
        (lambda: correlate([[[1, 2], [3]]], np.zeros((1, 1, 1))), "x is ragged"),
        (lambda: correlate([["a"]], np.zeros((1, 1, 1))), "x has dtype <U1"),
        (lambda: correlate(np.zeros((1, 1, 3)), np.zeros((2, 1, 3)), np.zeros(3)), r"bias of shape \(3,\) came"),
        (lambda: correlate_single(np.zeros((3, 3)), np.zeros(3)), "one channel and one kernel"),
        (lambda: run(np.zeros((1, 1, 4)), np.zeros((1, 1, 2)), None, SMALL), "x of shape"),
        (lambda: run(np.zeros((1, 1, 3)), np.zeros((1, 1, 3)), None, SMALL), "weight of shape"),
        (lambda: input_gradient(np.zeros((1, 1, 3)), np.zeros((1, 1, 2)), SMALL), "grad of shape"),
        (lambda: weight_gradient(np.zeros((1, 1, 3)), np.zeros((1, 1, 3)), SMALL), "grad of shape"),
    ],
)
def test_what_cannot_be_right_is_refused_in_one_sentence(call, message):
    with pytest.raises(InvalidInput, match=message):
        call()
