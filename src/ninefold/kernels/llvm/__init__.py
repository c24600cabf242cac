"""Kernels for CPUs: LLVM IR written as text for one layer shape, compiled in this process. Knows nothing of torch."""
