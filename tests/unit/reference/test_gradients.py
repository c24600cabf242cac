"""The derived form of both gradients, as convolutions, equals the sums they were derived from."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from ninefold.errors import InvalidSpec
from ninefold.reference import (
    convolve,
    correlate,
    flip,
    input_gradient,
    input_gradient_by_full_convolution,
    weight_gradient,
    weight_gradient_by_valid_correlation,
)
from ninefold.spec import ConvSpec


def test_at_stride_1_without_padding_the_gradients_are_one_full_and_one_valid_convolution(rng):
    x, weight, grad = rng.normal(size=(2, 3, 5, 6)), rng.normal(size=(4, 3, 3, 2)), rng.normal(size=(2, 4, 3, 5))
    spec = ConvSpec.of(x.shape, weight.shape)
    exchanged = weight.swapaxes(0, 1)  # (C, O, *kernel)
    dx = input_gradient(grad, weight, spec)
    np.testing.assert_allclose(correlate(grad, flip(exchanged), padding="full"), dx, rtol=1e-10)
    np.testing.assert_allclose(convolve(grad, exchanged, padding="full"), dx, rtol=1e-10)
    dw = correlate(x.swapaxes(0, 1), grad.swapaxes(0, 1)).swapaxes(0, 1)
    np.testing.assert_allclose(dw, weight_gradient(x, grad, spec), rtol=1e-10)


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("size", [(7,), (6, 7), (5, 4, 6)])
def test_at_any_stride_padding_dilation_and_groups_both_forms_agree(rng, size, groups):
    for stride, dilation, padding in product((1, 2, 3), (1, 2), (0, ((0, 2),), ((3, 1),))):
        pairs = padding * len(size) if padding else 0
        spec = ConvSpec.of(
            (2, 4, *size), (6, 4 // groups, *(2,) * len(size)),
            stride=stride, dilation=dilation, padding=pairs, groups=groups,
        )  # fmt: skip
        x, weight, grad = (rng.normal(size=s) for s in (spec.input_shape, spec.weight_shape, spec.output_shape))
        dx = input_gradient_by_full_convolution(grad, weight, spec)
        np.testing.assert_allclose(dx, input_gradient(grad, weight, spec), rtol=1e-10, atol=1e-10)
        dw = weight_gradient_by_valid_correlation(x, grad, spec)
        np.testing.assert_allclose(dw, weight_gradient(x, grad, spec), rtol=1e-10, atol=1e-10)


def test_a_transposed_spec_is_refused_with_what_to_pass_instead():
    spec = ConvSpec.of((1, 1, 3), (1, 1, 2), transposed=True)
    with pytest.raises(InvalidSpec, match="input_gradient"):
        input_gradient_by_full_convolution(np.zeros((1, 1, 4)), np.zeros((1, 1, 2)), spec)
