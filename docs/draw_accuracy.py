"""Draw accuracy against work, from the cards: `python docs/draw_accuracy.py` writes docs/networks/accuracy.svg."""

from __future__ import annotations

import json
from fnmatch import fnmatchcase
from pathlib import Path

import matplotlib as mpl
from matplotlib import pyplot as plt

from ninefold import networks

PATH = Path(__file__).parent / "networks" / "accuracy.svg"
COLOURS = {"classic": "#4a63b0", "lightweight": "#2a8c6a", "attention": "#b0533f"}
RIGHT, LEFT, BELOW, ABOVE, ABOVE_LEFT = (7, -3), (-7, -3), (7, -9), (4, 5), (-3, 8)
# What a line is called: the networks on it, and where the name stands beside its last point.
LINES = {
    "AlexNet": ("alexnet", RIGHT),
    "VGG": ("vgg??", RIGHT),
    "VGG with batch norm": ("vgg??_bn", LEFT),
    "ResNet": ("resnet*[0-9][0-9]", RIGHT),
    "ResNet, stride in the 1x1": ("resnet*_v1", BELOW),
    "GoogLeNet": ("googlenet", LEFT),
    "Inception V1": ("inception_v1", BELOW),
    "Inception V2": ("inception_v2", ABOVE),
    "BN-Inception": ("bn_inception", RIGHT),
    "Inception V3": ("inception_v3", ABOVE),
    "Inception V4": ("inception_v4", LEFT),
    "Inception-ResNet V2": ("inception_resnet_v2", RIGHT),
    "SqueezeNet": ("squeezenet*", RIGHT),
    "MobileNet V1": ("mobilenet_v1*", RIGHT),
    "MobileNet V2": ("mobilenet_v2*", RIGHT),
    "MobileNet V3": ("mobilenet_v3*", ABOVE),
    "ShuffleNet V1": ("shufflenet_v1*", RIGHT),
    "ShuffleNet V2": ("shufflenet_v2*", RIGHT),
    "Xception": ("xception", LEFT),
    "MixNet": ("mixnet*", RIGHT),
    "GhostNet": ("ghostnet*", LEFT),
    "SE-ResNet": ("se_resnet*", LEFT),
    "CBAM-ResNet": ("cbam_resnet*", ABOVE_LEFT),
}


def points() -> dict[str, tuple[int, float]]:
    """Give MACs and top-1 accuracy of every network whose card tells it."""
    return {card.name: (card.macs, card.top1) for card in networks.cards() if card.top1 is not None}


def on_line(pattern: str) -> list[str]:
    """Give the networks of a line, the one with the least work first."""
    found = [name for name in points() if fnmatchcase(name, pattern)]
    return sorted(found, key=lambda name: points()[name])


def draw() -> None:
    """Write the picture."""
    mpl.rcParams |= {"svg.fonttype": "none", "svg.hashsalt": "ninefold", "font.size": 9, "font.family": "sans-serif"}
    figure, axes = plt.subplots(figsize=(9, 6.2), layout="constrained")
    values = points()
    for label, (pattern, place) in LINES.items():
        names = on_line(pattern)
        colour = COLOURS[networks.card(names[0]).family]
        macs, top1 = zip(*(values[name] for name in names), strict=True)
        axes.plot([m / 1e9 for m in macs], top1, "o-", color=colour, markersize=4.5, linewidth=1, alpha=0.85)
        side = {"textcoords": "offset points", "ha": "left" if place[0] > 0 else "right"}
        axes.annotate(label, (macs[-1] / 1e9, top1[-1]), place, color=colour, fontsize=8, **side)
    for family, colour in COLOURS.items():
        axes.plot([], [], "o-", color=colour, markersize=4.5, linewidth=1, label=family)
    axes.set_xscale("log")
    axes.set_xlabel("multiply-accumulates of one picture, in 10\N{SUPERSCRIPT NINE}")
    axes.set_ylabel("top-1 accuracy on ImageNet, as published, in percent")
    axes.set_xticks([0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20], ["0.05", "0.1", "0.2", "0.5", "1", "2", "5", "10", "20"])
    axes.minorticks_off()
    axes.grid(alpha=0.25)
    axes.legend(loc="lower right", frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(PATH, metadata={"Date": None, "Description": json.dumps(values, sort_keys=True)})


if __name__ == "__main__":
    draw()
