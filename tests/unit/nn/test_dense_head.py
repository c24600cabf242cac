"""The head of three dense layers."""

import pytest
import torch

from ninefold.nn import DenseHead


@pytest.mark.parametrize("dropout_first", [False, True])
def test_a_map_of_its_size_goes_through_three_dense_layers_in_order_of_channels_rows_and_columns(dropout_first):
    torch.manual_seed(0)
    head = DenseHead(3, 2, 5, hidden=7, dropout_first=dropout_first).eval()
    x = torch.randn(4, 3, 2, 2)
    hidden = head.fc2(head.fc1(x.reshape(4, 12)).relu()).relu()
    torch.testing.assert_close(head(x), head.fc3(hidden))


def test_dropout_stands_on_the_side_that_was_asked_for():
    torch.manual_seed(0)
    x = torch.ones(1, 3, 2, 2)
    first = DenseHead(3, 2, 5, hidden=7, dropout=1.0, dropout_first=True)
    behind = DenseHead(3, 2, 5, hidden=7, dropout=1.0)
    torch.testing.assert_close(first(x), first.fc3(first.fc2.bias.relu())[None])
    torch.testing.assert_close(behind(x), behind.fc3.bias[None])


def test_maps_of_other_sizes_are_averaged():
    torch.manual_seed(0)
    head = DenseHead(3, 2, 5, hidden=7).eval()
    x = torch.randn(1, 3, 4, 6)
    means = x.reshape(1, 3, 2, 2, 2, 3).mean((3, 5))
    torch.testing.assert_close(head(x), head(means))
