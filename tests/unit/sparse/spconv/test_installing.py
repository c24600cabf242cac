"""What installing does is seen in processes of their own, because it changes what `import spconv` means."""

import subprocess
import sys
from types import ModuleType

import pytest

from ninefold.errors import InvalidInput
from ninefold.sparse import install_as_spconv

INSTALL = "from ninefold.sparse import install_as_spconv\ninstall_as_spconv()\n"


def run(code):
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_detection_code_finds_every_name_where_it_looks():
    code = """
import spconv
if float(spconv.__version__[2:]) >= 2.2:
    spconv.constants.SPCONV_USE_DIRECT_TABLE = False
assert spconv.__version__ >= "2.0.0" and spconv.SPCONV_VERSION_NUMBERS == [2, 3, 8]
try:
    from spconv.utils import VoxelGenerator
    raise SystemExit("a name of spconv 1 is there")
except ImportError:
    from spconv.utils import Point2VoxelCPU3d
import cumm.tensorview as tv
import numpy as np
limits = dict(num_point_features=4, max_num_points_per_voxel=5, max_num_voxels=100)
generator = Point2VoxelCPU3d(vsize_xyz=[1, 1, 1], coors_range_xyz=[0, 0, 0, 4, 4, 4], **limits)
voxels, coordinates, counts = generator.point_to_voxel(tv.from_numpy(np.ones((3, 4), np.float32)))
assert coordinates.numpy().tolist() == [[1, 1, 1]] and counts.numpy().tolist() == [3]
import spconv.pytorch as spconv
from spconv.pytorch import SparseConvTensor, SparseMaxPool3d, SparseModule, SubMConv4d
from spconv.pytorch.conv import SparseConvolution
from spconv.pytorch.core import ImplicitGemmIndiceData, IndiceData, expand_nd, scatter_nd
from spconv.pytorch.modules import PrintTensorMeta, SparseSyncBatchNorm, is_sparse_conv, is_spconv_module
from spconv.pytorch.tables import AddTableMisaligned
from spconv.pytorch.utils import PointToVoxel, gather_features_by_pc_voxel_id
import spconv.pytorch.quantization
import spconv.pytorch.functional, spconv.pytorch.hash, spconv.pytorch.ops, spconv.pytorch.spatial
assert isinstance(spconv.SubMConv3d(1, 1, 3), spconv.conv.SparseConvolution)
assert "replace_feature" in SparseConvTensor.__dict__
"""
    run(INSTALL + INSTALL + code)


def test_the_real_package_is_not_replaced_once_it_is_imported(monkeypatch):
    monkeypatch.setitem(sys.modules, "spconv", ModuleType("spconv"))
    with pytest.raises(InvalidInput, match="before anything imports it"):
        install_as_spconv()


def test_a_layout_that_is_none_is_refused(monkeypatch):
    monkeypatch.setenv("SPCONV_SAVED_WEIGHT_LAYOUT", "KCRS")
    code = "try:\n    import ninefold.sparse.spconv\nexcept AssertionError as refused:\n    print(refused)"
    assert "'KCRS'; set it to KRSC" in run(code)
