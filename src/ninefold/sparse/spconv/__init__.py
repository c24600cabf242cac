"""spconv's own names on Ninefold's kernels: `import ninefold.sparse.spconv as spconv`.

Everything of `spconv.pytorch` is here directly and in the modules where spconv has it. What differs is listed in the
documentation, under "Coming from spconv".
"""

from ninefold.sparse.spconv import constants, pytorch, utils
from ninefold.sparse.spconv.checkpoints import converted_from_1
from ninefold.sparse.spconv.core import AlgoHint
from ninefold.sparse.spconv.pytorch import *  # noqa: F403  # the names that `pytorch` lists
from ninefold.sparse.spconv.pytorch import conv, core, hash, identity, modules, pool, spatial, tables  # noqa: A004

__version__ = "2.3.8"
SPCONV_VERSION_NUMBERS = [int(number) for number in __version__.split(".")]

__all__ = [  # noqa: PLE0604  # the names are strings; ruff cannot see through the splat
    *pytorch.__all__,
    "SPCONV_VERSION_NUMBERS",
    "AlgoHint",
    "__version__",
    "constants",
    "conv",
    "converted_from_1",
    "core",
    "hash",
    "identity",
    "modules",
    "pool",
    "pytorch",
    "spatial",
    "tables",
    "utils",
]
