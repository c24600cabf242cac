"""Layers and blocks, as torch modules: what more than one network is built of.

Convolutions in here are `torch.nn.Conv2d`, so that checkpoints, `torch.export` and every torch tool work on our
networks; `ninefold.conv2d` is the door for calling one convolution by a chosen engine.
"""

from ninefold.nn.backbone import Backbone, StagedBackbone, TappedBackbone
from ninefold.nn.cbam import CBAM
from ninefold.nn.channel_shuffle import ChannelShuffle
from ninefold.nn.classifier import AuxiliaryClassifier, Classifier, MeanHead
from ninefold.nn.concurrent_squeeze_excitation import ConcurrentSqueezeExcitation
from ninefold.nn.conv_norm_act import RELU, RELU6, ConvNormAct
from ninefold.nn.dense_head import DenseHead
from ninefold.nn.depthwise_separable import DepthwiseSeparable
from ninefold.nn.ghost import GhostModule
from ninefold.nn.global_context import GlobalContext
from ninefold.nn.inception import Branches, conv_path, grid_reduction, row_and_column
from ninefold.nn.initial import he_normal
from ninefold.nn.inverted_residual import InvertedResidual, inverted_residual
from ninefold.nn.mix_conv import MixConv2d
from ninefold.nn.non_local import NonLocal
from ninefold.nn.parallel_conv import ParallelConv
from ninefold.nn.residual import BasicBlock, Bottleneck, ZeroPadShortcut
from ninefold.nn.separable_conv import SeparableConv2d
from ninefold.nn.sparse_macs import SparseLayerRow, sparse_layers, sparse_macs, sphere
from ninefold.nn.sparse_residual import Norm, SparseBasicBlock, norm_act
from ninefold.nn.sparse_unet import SparseUNet, SparseUNetShape
from ninefold.nn.squeeze_excitation import SqueezeExcitation
from ninefold.nn.table_conv import TableConv2d
from ninefold.nn.width import make_divisible

__all__ = [
    "CBAM",
    "RELU",
    "RELU6",
    "AuxiliaryClassifier",
    "Backbone",
    "BasicBlock",
    "Bottleneck",
    "Branches",
    "ChannelShuffle",
    "Classifier",
    "ConcurrentSqueezeExcitation",
    "ConvNormAct",
    "DenseHead",
    "DepthwiseSeparable",
    "GhostModule",
    "GlobalContext",
    "InvertedResidual",
    "MeanHead",
    "MixConv2d",
    "NonLocal",
    "Norm",
    "ParallelConv",
    "SeparableConv2d",
    "SparseBasicBlock",
    "SparseLayerRow",
    "SparseUNet",
    "SparseUNetShape",
    "SqueezeExcitation",
    "StagedBackbone",
    "TableConv2d",
    "TappedBackbone",
    "ZeroPadShortcut",
    "conv_path",
    "grid_reduction",
    "he_normal",
    "inverted_residual",
    "make_divisible",
    "norm_act",
    "row_and_column",
    "sparse_layers",
    "sparse_macs",
    "sphere",
]
