"""Kernels for CUDA devices, one story per file: definition, kernel, check, measure."""
