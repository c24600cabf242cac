"""The bottleneck: where its stride is, and where attention stands."""

import pytest
import torch
from torch import nn

from ninefold.nn import BasicBlock, Bottleneck, ConvNormAct


class Twice(nn.Module):
    def forward(self, x):
        return 2 * x


@pytest.mark.parametrize("stride_in_first", [False, True])
def test_a_bottleneck_is_three_convolutions_beside_a_shortcut(stride_in_first):
    torch.manual_seed(0)
    shortcut = ConvNormAct(3, 8, 1, 2, activation=None)
    block = Bottleneck(3, 2, 2, shortcut, stride_in_first=stride_in_first).eval()
    x = torch.randn(1, 3, 6, 5)
    seen = x[:, :, ::2, ::2] if stride_in_first else x  # a 1x1 with stride 2 sees every second pixel
    y = block.bn1(nn.functional.conv2d(seen, block.conv1.weight)).relu()
    y = block.bn2(nn.functional.conv2d(y, block.conv2.weight, stride=1 if stride_in_first else 2, padding=1)).relu()
    y = block.bn3(block.conv3(y))
    torch.testing.assert_close(block(x), (y + shortcut(x)).relu())


@pytest.mark.parametrize("block", [BasicBlock(4, 4, 1, nn.Identity()), Bottleneck(4, 1, 1, nn.Identity())])
def test_attention_stands_before_the_sum(block):
    torch.manual_seed(0)
    block.eval()
    x = torch.rand(1, 4, 5, 5) + 5  # sums stay above 0, where the last ReLU changes nothing
    branch = block(x) - x
    block.attention = Twice()
    torch.testing.assert_close(block(x), x + 2 * branch)
