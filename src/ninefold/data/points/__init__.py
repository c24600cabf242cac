"""Points: what sources of scans give, how scans become a batch, and the files in which scans are kept."""

from ninefold.data.points.files import SCAN_SUFFIXES, read_scan
from ninefold.data.points.pipeline import POINT_AUGMENTATIONS, PointPipeline
from ninefold.data.points.ply import read_ply, write_ply
from ninefold.data.points.splits import PointSource, PointSplit
from ninefold.data.points.velodyne import read_labels, read_velodyne, write_labels

__all__ = [
    "POINT_AUGMENTATIONS",
    "SCAN_SUFFIXES",
    "PointPipeline",
    "PointSource",
    "PointSplit",
    "read_labels",
    "read_ply",
    "read_scan",
    "read_velodyne",
    "write_labels",
    "write_ply",
]
