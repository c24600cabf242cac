"""Settings under spconv's names.

`SAVED_WEIGHT_LAYOUT`, from the environment variable SPCONV_SAVED_WEIGHT_LAYOUT, is read when a checkpoint is loaded.
The others may be set as spconv's may, and change nothing: they tune CUDA code that is not here.
"""

import os

from ninefold.sparse.spconv.errors import Refused

ALL_WEIGHT_IS_KRSC = True
FILTER_HWIO = False
SPCONV_ALLOW_TF32 = False
SPCONV_USE_DIRECT_TABLE = True
SPCONV_DO_SORT = True
SPCONV_FX_TRACE_MODE = False

LAYOUTS = ("", "KRSC", "RSKC", "RSCK")
SAVED_WEIGHT_LAYOUT = os.environ.get("SPCONV_SAVED_WEIGHT_LAYOUT", "")
if SAVED_WEIGHT_LAYOUT not in LAYOUTS:
    raise Refused(f"SPCONV_SAVED_WEIGHT_LAYOUT is {SAVED_WEIGHT_LAYOUT!r}; set it to KRSC, RSKC or RSCK, or not at all")
