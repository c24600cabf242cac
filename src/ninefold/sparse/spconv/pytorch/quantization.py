"""The place of spconv's quantised inference, which is not here: its names say so.

>>> from ninefold.sparse.spconv.pytorch.quantization import quantize_per_tensor
Traceback (most recent call last):
ninefold.errors.Unsupported: quantization.quantize_per_tensor asks for int8, and Ninefold computes with floating ...
"""

from typing import Final, NoReturn

from ninefold.sparse.spconv.errors import no_int8

_NAMES: Final = frozenset(
    {
        "get_default_spconv_qconfig_mapping",
        "get_default_spconv_trt_ptq_qconfig",
        "get_default_spconv_trt_qat_qconfig",
        "get_spconv_backend_config",
        "get_spconv_convert_custom_config",
        "get_spconv_fmod_to_qat_mapping",
        "get_spconv_prepare_custom_config",
        "get_spconv_qat_to_static_mapping",
        "prepare_spconv_torch_inference",
        "quantize_per_tensor",
        "remove_conv_add_dq",
        "transform_qdq",
    }
)


def __getattr__(name: str) -> NoReturn:
    if name in _NAMES:
        raise no_int8(f"quantization.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
