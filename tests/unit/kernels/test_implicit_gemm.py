"""Triton's kernels without a GPU: run by its interpreter, and compiled for devices that are not here."""

import os
import re
import subprocess
import sys
from importlib.util import find_spec

import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_spec("triton") is None, reason="needs the package triton"),
]

COMPILES = """
import sys, torch, triton
from triton.backends.compiler import GPUTarget

class Device:
    get_current_device = get_current_stream = lambda self, device=0: 0
    get_current_target = lambda self: GPUTarget("cuda", int(sys.argv[1]), 32)

class Compiled:
    def __init__(self, kernel):
        self.kernel = kernel
    def __getitem__(self, grid):
        return lambda *arguments: print(len(self.kernel.warmup(*arguments, grid=grid).asm["cubin"]))

triton.runtime.driver.set_active(Device())
from ninefold.kernels.triton import implicit_gemm as gemm
gemm._sum_kernel, gemm._compare_kernel = Compiled(gemm._sum_kernel), Compiled(gemm._compare_kernel)
table, lists = torch.zeros(28, 9, dtype=torch.int32), torch.zeros(2, 400_000, dtype=torch.int32)
single, half, brain = torch.float32, torch.float16, torch.bfloat16
for dtype, precision, groups in ((single, "ieee", 1), (single, "tf32", 2), (half, "ieee", 1), (brain, "ieee", 2)):
    x, weight = torch.zeros(7, 64, dtype=dtype), torch.zeros(48, 27, 64 // groups, dtype=dtype)
    gemm.sum_rows(x, weight, table, precision)
    starts = torch.zeros(28, dtype=torch.int64)
    gemm.compare_rows(x, torch.zeros(9, 48, dtype=dtype), lists, starts, groups, precision)
"""


def output_of(*arguments, **environment):
    done = subprocess.run(
        [sys.executable, *arguments], env=os.environ | environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_interpreter_gives_what_the_definition_says_in_every_dtype():
    printed = output_of("-m", "ninefold.kernels.triton.implicit_gemm", TRITON_INTERPRET="1")
    errors = dict(re.findall(r"torch\.(\w+, \w+): error (\S+),", printed))
    allowed = {"float32, ieee": 1e-6, "float32, tf32": 1e-6, "float16, ieee": 1e-3, "bfloat16, ieee": 1e-2}
    assert errors.keys() == allowed.keys()
    for case, most in allowed.items():
        assert float(errors[case]) <= most


@pytest.mark.parametrize("architecture", ["80", "90"])
def test_every_kernel_compiles_for_devices_that_are_not_here(architecture, tmp_path):
    sizes = output_of("-c", COMPILES, architecture, TRITON_INTERPRET="0", TRITON_CACHE_DIR=str(tmp_path)).split()
    assert len(sizes) == 8
    assert min(map(int, sizes)) > 1000
