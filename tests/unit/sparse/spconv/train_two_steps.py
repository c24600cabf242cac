"""Train SECOND's encoder and a MinkUNet on a CPU, two steps each, through the names of spconv.

    python tests/unit/sparse/spconv/train_two_steps.py

prints, for each network, its number of parameters and the loss before each step and after the last.

Sources: Y. Yan, Y. Mao, B. Li, "SECOND: Sparsely Embedded Convolutional Detection", Sensors 2018, the encoder as
OpenPCDet has it; C. Choy, J. Gwak, S. Savarese, "4D Spatio-Temporal ConvNets: Minkowski Convolutional Neural Networks",
CVPR 2019, its network of 14 layers with half the channels.
"""

import torch
from torch import nn
from torch.nn import functional as F

from ninefold.sparse import spconv


def norm_act(channels):
    return nn.BatchNorm1d(channels, eps=1e-3, momentum=0.01), nn.ReLU()


def subm(inputs, channels, key):
    conv = spconv.SubMConv3d(inputs, channels, 3, padding=1, bias=False, indice_key=key)
    return spconv.SparseSequential(conv, *norm_act(channels))


def down(inputs, channels, key, kernel=3, stride=2, padding=1):
    conv = spconv.SparseConv3d(inputs, channels, kernel, stride, padding, bias=False, indice_key=key)
    return spconv.SparseSequential(conv, *norm_act(channels))


class Second(nn.Module):
    """The encoder, and one number per cell of the ground."""

    def __init__(self):
        super().__init__()
        self.encoder = spconv.SparseSequential(
            subm(4, 16, "subm1"),
            subm(16, 16, "subm1"),
            down(16, 32, "spconv2"),
            subm(32, 32, "subm2"),
            subm(32, 32, "subm2"),
            down(32, 64, "spconv3"),
            subm(64, 64, "subm3"),
            subm(64, 64, "subm3"),
            down(64, 64, "spconv4", padding=(0, 1, 1)),
            subm(64, 64, "subm4"),
            subm(64, 64, "subm4"),
            down(64, 128, "spconv_down2", (3, 1, 1), (2, 1, 1), 0),
            spconv.ToDense(),
        )
        self.head = nn.Conv2d(256, 1, 1)

    def forward(self, x):
        return self.head(self.encoder(x).flatten(1, 2))  # (N, 1, H / 8, W / 8)

    def loss(self, x):
        above = x.replace_feature((x.indices[:, 1:2] > 20).float()).dense()
        return F.binary_cross_entropy_with_logits(self(x), F.adaptive_max_pool2d(above.amax(dim=2), 8))


class Residual(spconv.SparseModule):
    def __init__(self, inputs, channels, key):
        super().__init__()
        self.body = subm(inputs, channels, key)
        self.conv = spconv.SubMConv3d(channels, channels, 3, bias=False, indice_key=key)
        self.norm = nn.BatchNorm1d(channels)
        same = inputs == channels
        self.shortcut = spconv.Identity() if same else spconv.SubMConv3d(inputs, channels, 1, bias=False)

    def forward(self, x):
        y = self.conv(self.body(x))
        y = y.replace_feature(self.norm(y.features)) + self.shortcut(x)
        return y.replace_feature(F.relu(y.features))


class MinkUNet(nn.Module):
    """Four levels down and up, one class per voxel."""

    def __init__(self, classes=2, widths=(16, 32, 64, 128), back=(64, 64, 48, 48)):
        super().__init__()
        before = (16, *widths[:-1])
        skips = (*widths[-2::-1], 16)
        self.stem = spconv.SparseSequential(spconv.SubMConv3d(4, 16, 5, bias=False, indice_key="stem"), *norm_act(16))
        self.downs, self.encoders, self.ups, self.decoders = (nn.ModuleList() for _ in range(4))
        for level, (inputs, width) in enumerate(zip(before, widths, strict=True), start=1):
            self.downs.append(down(inputs, inputs, f"down{level}", 2, 2, 0))
            self.encoders.append(Residual(inputs, width, f"subm{level}"))
        inputs = widths[-1]
        for level, (width, skip) in zip((4, 3, 2, 1), zip(back, skips, strict=True), strict=True):
            conv = spconv.SparseInverseConv3d(inputs, width, 2, f"down{level}", bias=False)
            self.ups.append(spconv.SparseSequential(conv, *norm_act(width)))
            self.decoders.append(Residual(width + skip, width, f"subm{level - 1}"))
            inputs = width
        self.head = spconv.SubMConv3d(inputs, classes, 1)

    def forward(self, x):
        x = self.stem(x)
        skips = []
        for to_lower, encoder in zip(self.downs, self.encoders, strict=True):
            skips.append(x)
            x = encoder(to_lower(x))
        for to_upper, decoder in zip(self.ups, self.decoders, strict=True):
            x = to_upper(x)
            x = decoder(x.replace_feature(torch.cat([x.features, skips.pop().features], dim=1)))
        return self.head(x)

    def loss(self, x):
        y = self(x)
        return F.cross_entropy(y.features, (x.indices[:, 1] > 20).long())


def hills():
    """Give a ground with bumps on a grid of 41 x 64 x 64 cells, rows in random order."""
    torch.manual_seed(0)
    place = torch.arange(64) / 10
    height = (18 + 6 * torch.sin(place)[:, None] * torch.cos(place) + torch.rand(2, 64, 64) * 3).int()
    rows = torch.cat([torch.ones(2, 64, 64).nonzero().int(), height.reshape(-1, 1)], dim=1)[:, [0, 3, 1, 2]]
    rows = rows[torch.randperm(len(rows))[:3000]]
    features = torch.cat([rows[:, 1:] / 64, torch.rand(len(rows), 1)], dim=1)
    return spconv.SparseConvTensor(features, rows, [41, 64, 64], batch_size=2)


def main():
    for kind in (Second, MinkUNet):
        torch.manual_seed(0)
        network, x = kind(), hills()
        optimizer = torch.optim.Adam(network.parameters(), lr=0.003)
        losses = []
        for _ in range(2):
            loss = network.loss(x)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        losses.append(network.loss(x).item())
        count = sum(p.numel() for p in network.parameters())
        print(kind.__name__, count, *(f"{loss:.4f}" for loss in losses))  # noqa: T201  # what the script is for


if __name__ == "__main__":
    main()
