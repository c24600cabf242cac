"""Layers and blocks, as torch modules: what more than one network is built of.

Convolutions in here are `torch.nn.Conv2d`, so that checkpoints, `torch.export` and every torch tool work on our
networks; `ninefold.conv2d` is the door for calling one convolution by a chosen engine.
"""

from ninefold.nn.backbone import Backbone, TappedBackbone
from ninefold.nn.classifier import AuxiliaryClassifier, Classifier, MeanHead
from ninefold.nn.conv_norm_act import RELU, RELU6, ConvNormAct
from ninefold.nn.parallel_conv import ParallelConv
from ninefold.nn.residual import BasicBlock, ZeroPadShortcut
from ninefold.nn.table_conv import TableConv2d

__all__ = [
    "RELU",
    "RELU6",
    "AuxiliaryClassifier",
    "Backbone",
    "BasicBlock",
    "Classifier",
    "ConvNormAct",
    "MeanHead",
    "ParallelConv",
    "TableConv2d",
    "TappedBackbone",
    "ZeroPadShortcut",
]
