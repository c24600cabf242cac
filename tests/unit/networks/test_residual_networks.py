"""The residual networks: where strides, attention and non-local blocks stand, and how their weights start."""

import pytest
import torch
from torch import nn

from ninefold import networks
from ninefold.errors import InvalidInput
from ninefold.networks.classic import VGG, ResNet
from ninefold.nn import GlobalContext, NonLocal, SqueezeExcitation


def bare(name):
    with torch.device("meta"):
        return networks.create(name).backbone


def has(module, kind):
    return any(isinstance(inner, kind) for inner in module.modules())


@pytest.mark.parametrize(("name", "first", "second"), [("resnet50", (1, 1), (2, 2)), ("resnet50_v1", (2, 2), (1, 1))])
def test_the_stride_of_a_bottleneck_is_where_the_name_says(name, first, second):
    backbone = bare(name)
    for stage in (backbone.stage2, backbone.stage3, backbone.stage4):
        assert (stage[0].conv1.stride, stage[0].conv2.stride) == (first, second)
        assert stage[0].shortcut.conv.stride == (2, 2)
        assert stage[1].conv1.stride == stage[1].conv2.stride == (1, 1)


def test_the_released_networks_pool_where_no_row_is_above():
    released, padded = (ResNet(50, 3, ceil_pool=ceil).pool for ceil in (True, False))
    x = torch.arange(16.0).view(1, 1, 4, 4)
    torch.testing.assert_close(released(x), torch.tensor([[[[10.0, 11.0], [14.0, 15.0]]]]))
    torch.testing.assert_close(padded(x), torch.tensor([[[[5.0, 7.0], [13.0, 15.0]]]]))


def test_convolutions_start_with_the_variance_that_keeps_a_relus_scale():
    torch.manual_seed(0)
    for layer in ResNet(18, 3).modules():
        if isinstance(layer, nn.Conv2d) and layer.weight.numel() > 10_000:
            assert layer.weight.var().item() == pytest.approx(2 / layer.weight[0].numel(), rel=0.1)


@pytest.mark.parametrize("backbone", [ResNet, VGG])
def test_a_depth_that_nobody_published_is_refused(backbone):
    with pytest.raises(InvalidInput, match="layers=17 came; choose one of 1"):
        backbone(17, 3)


def test_attention_stands_in_every_block_of_the_attended_stages():
    backbone = ResNet(18, 3, attention=SqueezeExcitation, attended=(2, 4))
    stages = (backbone.stage1, backbone.stage2, backbone.stage3, backbone.stage4)
    attended = [[isinstance(block.attention, SqueezeExcitation) for block in stage] for stage in stages]
    assert attended == [[False] * 2, [True] * 2, [False] * 2, [True] * 2]
    assert backbone.stage4[1].attention.fc2.out_channels == 512


def test_global_context_spares_the_first_stage():
    backbone = bare("gc_resnet50_r4")
    assert not has(backbone.stage1, GlobalContext)
    for stage, squeezed in ((backbone.stage2, 128), (backbone.stage3, 256), (backbone.stage4, 512)):
        assert [block.attention.fc1.out_channels for block in stage] == [squeezed] * len(stage)


@pytest.mark.parametrize(
    ("name", "stage2", "stage3"), [("nl_resnet50", "0123", "01234N5"), ("nl5_resnet50", "01N23N", "01N23N45N")]
)
def test_non_local_blocks_stand_between_the_blocks_of_two_stages(name, stage2, stage3):
    backbone = bare(name)
    for stage, expected in ((backbone.stage2, stage2), (backbone.stage3, stage3)):
        assert [isinstance(block, NonLocal) for block in stage] == [letter == "N" for letter in expected]
    assert not has(backbone.stage1, NonLocal)
    assert not has(backbone.stage4, NonLocal)


def test_blocks_that_start_as_the_identity_leave_a_residual_networks_scores_as_they_are():
    scores = []
    images = torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    for attention in (None, GlobalContext):
        torch.manual_seed(0)
        scores.append(ResNet(18, 3, attention=attention).eval()(images)[-1])
    torch.testing.assert_close(*scores, rtol=0, atol=0)
