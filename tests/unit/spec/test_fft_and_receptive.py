"""Good lengths by search, receptive fields by perturbing pixels."""

import pytest
import torch
from torch import nn

from ninefold.spec import ReceptiveField, good_length


def only_2_3_5(n):
    for prime in (2, 3, 5):
        while n % prime == 0:
            n //= prime
    return n == 1


@pytest.mark.parametrize("least", [*range(1, 200), 997, 4093, 65537])
def test_a_good_length_is_the_next_with_small_factors(least):
    expected = next(n for n in range(least, 2 * least + 1) if only_2_3_5(n))
    assert good_length(least) == expected


def test_the_receptive_field_is_what_a_pixel_can_change():
    field = ReceptiveField.of_pixel(2)
    field = field.through((3, 3), (2, 2), (1, 1)).through((2, 2), (2, 2), (1, 1)).through((3, 1), (1, 1), (2, 2))
    x = torch.randn(1, 1, 60, 60, requires_grad=True)
    model = nn.Sequential(nn.Conv2d(1, 1, 3, stride=2), nn.AvgPool2d(2), nn.Conv2d(1, 1, (3, 1), dilation=2))
    y = model(x)
    y[0, 0, 4, 5].backward()
    rows, columns = (x.grad[0, 0] != 0).nonzero(as_tuple=True)
    seen = (rows.max() - rows.min() + 1, columns.max() - columns.min() + 1)
    assert tuple(int(n) for n in seen) == field.size
    assert field.step == (4, 4)


def test_branches_join_to_the_larger_field():
    pixel = ReceptiveField.of_pixel(2)
    wide, tall = pixel.through((1, 5), (1, 1), (1, 1)), pixel.through((3, 1), (1, 1), (1, 1))
    assert wide.joined(tall).size == (3, 5)
