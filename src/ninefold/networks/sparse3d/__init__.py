"""Networks over sparse voxels: MinkUNet and SpUNet, which label points, and the middle encoder of SECOND."""

from ninefold.networks.sparse3d.minkunet import minkunet
from ninefold.networks.sparse3d.spunet import spunet
from ninefold.networks.sparse3d.voxel_backbone import VoxelBackBone8x

__all__ = ["VoxelBackBone8x", "minkunet", "spunet"]
