"""Picture files to tensors and back, with guards against what files can do to a program."""

from __future__ import annotations

import warnings
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import torch

from ninefold.errors import CorruptFile, InvalidInput, MissingData
from ninefold.storage import replacing

if TYPE_CHECKING:
    from pathlib import Path

    from PIL import Image
    from torch import Tensor

    from ninefold.records import Sample

PIXEL_LIMIT = 89_478_485
"""A picture of more pixels is refused before it is decoded; Pillow warns from the same number on."""

_LUMA = (0.299, 0.587, 0.114)  # Rec. ITU-R BT.601, section 2.5.1
_RUN_PROGRAMS = frozenset({"EPS", "WMF"})  # Pillow hands these to Ghostscript or to the operating system


def read_image(path: Path) -> Tensor:
    """Read a picture file.

    The first frame of an animation; turned upright as its EXIF orientation says; transparent pixels show white; of 16
    bits per channel the upper 8.

    Args:
        path: a file of any kind that Pillow decodes by itself.

    Returns:
        uint8 (C, H, W): C = 1 for grey pictures, 3 (RGB) for all others.

    Raises:
        MissingData: when there is no such file.
        CorruptFile: when it is no picture, is damaged, has over `PIXEL_LIMIT` pixels, or has no fixed white (32-bit
            whole numbers, floating point).
    """
    from PIL import Image, UnidentifiedImageError

    if not path.is_file():
        raise MissingData(f"there is no picture file {path}; check the path")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns of harmless oddities such as damaged EXIF data
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            with Image.open(path, formats=_formats()) as image:
                _check(image, path)
                pixels = _pixels(image)
        except CorruptFile:
            raise
        except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
            raise CorruptFile(f"{path} is refused before decoding it: {error}; scale the picture down") from error
        except UnidentifiedImageError as error:
            raise CorruptFile(f"{path} is no picture of a kind that Pillow decodes; replace or convert it") from error
        except Exception as error:  # damaged files raise nearly anything from inside a decoder
            raise CorruptFile(f"{path} cannot be read as a picture ({error}); replace or remove it") from error
    return torch.from_numpy(pixels).movedim(2, 0).contiguous()


def write_png(sample: Sample, path: Path) -> None:
    """Write a sample's picture as a PNG file, to a temporary name first.

    Args:
        sample: with 1 (grey) or 3 (RGB) channels.
        path: the file to write; its folder must exist.

    Raises:
        InvalidInput: when the picture has other channels.
        StorageFull: when the disk took no more; a file that was at `path` is left as it was.
    """
    from PIL import Image

    channels = len(sample.image)
    if channels not in (1, 3):
        raise InvalidInput(f"{sample.name} has {channels} channels; a PNG file takes 1 (grey) or 3 (RGB)")
    pixels = sample.image.movedim(0, 2).contiguous().numpy()
    with replacing(path) as part:
        Image.fromarray(pixels[:, :, 0] if channels == 1 else pixels).save(part, format="PNG")


def with_channels(images: Tensor, channels: int) -> Tensor:
    """Change between grey and RGB: repeat the grey channel, or take the luma 0.299 R + 0.587 G + 0.114 B.

    Args:
        images: (..., C, H, W); float where RGB turns into grey.
        channels: wanted.

    Raises:
        InvalidInput: when the change is not 1 -> 3, 3 -> 1 or none.
    """
    came = images.shape[-3]
    if came == channels:
        return images
    if (came, channels) == (1, 3):
        return images.expand(*images.shape[:-3], 3, *images.shape[-2:])
    if (came, channels) == (3, 1):
        weights = torch.tensor(_LUMA, dtype=images.dtype).view(3, 1, 1)
        return (images * weights).sum(-3, keepdim=True)
    raise InvalidInput(f"pictures of {came} channels do not turn into {channels}; only grey (1) and RGB (3) do")


@cache
def suffixes() -> frozenset[str]:
    """Give the file name endings that count as pictures, lower case with the dot."""
    from PIL import Image

    readable = frozenset(_formats())
    return frozenset(suffix for suffix, kind in Image.registered_extensions().items() if kind in readable)


@cache
def _formats() -> tuple[str, ...]:
    from PIL import Image

    Image.init()
    return tuple(kind for kind in Image.OPEN if kind not in _RUN_PROGRAMS)


def _check(image: Image.Image, path: Path) -> None:
    if image.width * image.height > PIXEL_LIMIT:
        raise CorruptFile(
            f"{path} has {image.width} x {image.height} pixels, over the limit of {PIXEL_LIMIT:,}; scale it down"
        )
    if image.mode in ("I", "F"):
        raise CorruptFile(
            f"{path} holds {image.mode!r} pixels (32-bit whole numbers or floating point), which have no fixed white; "
            "save it with 8 or 16 bits per channel"
        )


def _pixels(image: Image.Image) -> np.ndarray:  # uint8 (H, W, C)
    from PIL import Image, ImageOps

    upright = ImageOps.exif_transpose(image)
    if upright.mode.startswith("I;16"):
        return (np.asarray(upright).astype(np.uint16) >> 8).astype(np.uint8)[:, :, None]
    kind = "L" if upright.mode in ("1", "L", "LA") else "RGB"
    if upright.has_transparency_data:
        opaque = Image.new("RGBA", upright.size, "white")
        opaque.alpha_composite(upright.convert("RGBA"))
        upright = opaque
    return np.array(upright.convert(kind)).reshape(upright.height, upright.width, -1)
