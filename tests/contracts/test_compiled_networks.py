"""Every network of the zoo, one variant per file, gives compiled what torch gives."""

import pytest
import torch
from torch import nn

import ninefold
from golden.least import LEAST, size

# Its unscaled softmax is nearly one-hot with random weights: torch's own float32 is as far from float64.
TOLERANCE = {"nl_resnet50": 1e-3}
# Maps that are not a multiple of the 7x7 or 6x6 that dense layers want; the picture's channels, each repeated.
LEFT = {"torch aten.adaptive_avg_pool2d.default", "reshape", "gather 24 channels"}


def drawn(card):
    """Build a network whose batch norms are not the identity."""
    torch.manual_seed(0)
    model = ninefold.create(card.name, classes=9)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(std=0.1)
            module.running_var.uniform_(0.8, 1.2)
            nn.init.uniform_(module.weight, 0.8, 1.2)
    return model.eval()


@pytest.mark.parametrize("card", LEAST, ids=lambda card: card.name)
def test_it_computes_the_same_and_next_to_nothing_is_left_in_torch(card):
    model, x = drawn(card), torch.randn(2, card.input[0], *size(card))
    fast = ninefold.compile(model, x, threads=1, tune=False)
    with torch.no_grad():
        ours, truth = fast(x).scores, model(x).scores
    assert (ours - truth).abs().max() <= TOLERANCE.get(card.name, 1e-4) * truth.abs().max()
    left = {line.operation for line in fast.plan.lines if line.runs == "torch"}
    assert not left - LEFT or card.family == "attention", left
