"""ConvSpec against torch's own shapes, and against counting."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from ninefold.errors import InvalidSpec
from ninefold.spec import ConvSpec

CONV = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
TRANSPOSED = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}


@st.composite
def specs(draw, *, transposed):
    dims = draw(st.integers(1, 3))
    axis = lambda low, high: tuple(draw(st.integers(low, high)) for _ in range(dims))  # noqa: E731  # one line, used six times
    kernel, stride, dilation, groups = axis(1, 4), axis(1, 3), axis(1, 3), draw(st.integers(1, 3))
    before = axis(0, 2)
    least = tuple(d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True))
    return ConvSpec(
        batch=draw(st.integers(1, 2)),
        in_channels=groups * draw(st.integers(1, 2)),
        out_channels=groups * draw(st.integers(1, 2)),
        in_size=tuple(n + draw(st.integers(4, 6)) for n in least),
        kernel=kernel,
        stride=stride,
        padding=tuple((p, p) for p in before),
        dilation=dilation,
        groups=groups,
        transposed=transposed,
        output_padding=tuple(draw(st.integers(0, s - 1)) for s in stride) if transposed else (),
    )


def meta(shape):
    return torch.empty(shape, device="meta")


@given(specs(transposed=False))
def test_output_shape_is_that_of_torch(spec):
    y = CONV[spec.dims](
        meta(spec.input_shape),
        meta(spec.weight_shape),
        None,
        spec.stride,
        tuple(before for before, _ in spec.padding),
        spec.dilation,
        spec.groups,
    )
    assert tuple(y.shape) == spec.output_shape


@given(specs(transposed=True))
def test_transposed_output_shape_is_that_of_torch(spec):
    y = TRANSPOSED[spec.dims](
        meta(spec.input_shape),
        meta(spec.weight_shape),
        None,
        spec.stride,
        tuple(before for before, _ in spec.padding),
        spec.output_padding,
        spec.groups,
        spec.dilation,
    )
    assert tuple(y.shape) == spec.output_shape


@given(specs(transposed=False))
def test_the_gradient_of_the_gradient_is_the_convolution(spec):
    back = spec.input_gradient()
    assert back.output_shape == spec.input_shape
    assert back.weight_shape == spec.weight_shape
    assert back.macs == spec.macs
    assert back.input_gradient() == spec


@given(specs(transposed=True))
def test_the_gradient_of_a_transposed_convolution_gives_back_its_input_size(spec):
    back = spec.input_gradient()
    assert back.output_shape == spec.input_shape
    assert back.weight_shape == spec.weight_shape


def test_macs_count_the_multiplications_of_the_definition():
    spec = ConvSpec.of((2, 4, 5, 6), (6, 2, 3, 2), stride=(1, 2), padding=1, groups=2)
    counted = sum(1 for _ in range(2 * 6) for _ in range(spec.out_size[0] * spec.out_size[1]) for _ in range(2 * 3 * 2))
    assert spec.macs == counted


def test_bytes_count_every_number_once():
    spec = ConvSpec.of((1, 3, 8), (5, 3, 2))
    assert spec.bytes(4) == 4 * (3 * 8 + 5 * 3 * 2 + 5 * 7)


def test_a_spec_is_a_value():
    first, second = (ConvSpec.of((1, 3, 8, 8), (4, 3, 3, 3), padding=p) for p in ("same", 1))
    assert first == second
    assert hash(first) == hash(second)


@pytest.mark.parametrize(
    ("x", "weight", "arguments", "sentence"),
    [
        ((1, 3, 4, 4), (8, 3, 7, 7), {}, r"spans \(7, 7\) and does not fit.*\(4, 4\).*add at least \(3, 3\)"),
        ((1, 3, 8, 8), (8, 4, 3, 3), {}, r"\(8, 4, 3, 3\) does not meet an input of 3 channels.*\(8, 3, 3, 3\)"),
        ((1, 3, 8, 8), (8, 3, 3), {}, r"does not meet a weight of shape"),
        ((1, 3, 8), (8, 3, 0), {}, r"kernel=\(0,\) has a value below 1"),
        ((1, 3, 8), (8, 3, 3), {"stride": 0}, r"stride=\(0,\)"),
        ((1, 3, 8), (8, 3, 3), {"dilation": (1, 2)}, r"dilation=\(1, 2\) does not fit 1 spatial axes"),
        ((1, 3, 8), (8, 3, 3), {"padding": -1}, r"negative value; crop"),
        ((1, 3, 8), (8, 3, 3), {"padding": "some"}, r"padding='some' is no mode"),
        ((1, 3, 8), (8, 3, 3), {"padding": ((1, 2, 3),)}, r"pairs \(before, after\)"),
        ((1, 3, 8), (8, 3, 3), {"padding": "same", "stride": 2}, r"only with stride 1"),
        ((1, 3, 8), (8, 1, 3), {"groups": 3}, r"out_channels=8 is not divisible by groups=3"),
        ((1, 3, 8), (3, 8, 3), {"transposed": True, "output_padding": 1}, r"output_padding=\(1,\) is out of range"),
        ((1, 3, 8), (8, 3, 3), {"output_padding": 1}, r"since this is not transposed"),
        ((1, 3, 2), (3, 8, 2), {"transposed": True, "padding": 2}, r"use less padding"),
        ((1, 0, 8), (8, 0, 3), {}, r"at least 1"),
    ],
)
def test_what_cannot_be_is_refused_with_a_sentence_that_quotes_it(x, weight, arguments, sentence):
    with pytest.raises(InvalidSpec, match=sentence):
        ConvSpec.of(x, weight, **arguments)


@pytest.mark.parametrize(("kernel", "dilation"), [(1, 1), (2, 1), (3, 1), (4, 3), (5, 2)])
def test_the_three_modes_have_their_sizes(kernel, dilation):
    extent = dilation * (kernel - 1)
    size = {
        mode: ConvSpec.of((1, 1, 20), (1, 1, kernel), padding=mode, dilation=dilation).out_size[0]
        for mode in ("valid", "same", "full")
    }
    assert size == {"valid": 20 - extent, "same": 20, "full": 20 + extent}


@pytest.mark.filterwarnings("ignore:Using padding=.same. with even kernel lengths")  # torch tells of its copy
@pytest.mark.parametrize("kernel", [2, 3, 4])
def test_same_puts_the_odd_zero_behind_as_torch_does(kernel):
    x, weight = torch.arange(6.0).view(1, 1, 6), torch.arange(float(kernel)).view(1, 1, kernel)
    ((before, after),) = ConvSpec.of(x.shape, weight.shape, padding="same").padding
    torch.testing.assert_close(F.conv1d(F.pad(x, (before, after)), weight), F.conv1d(x, weight, padding="same"))
