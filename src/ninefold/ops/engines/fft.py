"""The engine `fft`: convolution as multiplication of spectra.

With image, places and weight as in `sides`, F the real Fourier transform over the spatial axes, `up` the places with
stride - 1 zeros between neighbours and `wide` the kernel with dilation - 1 zeros between its elements:

    slide     places = (F^-1 sum over b  of F(image) conj(F(wide)))[:: stride]
    spread    image  =  F^-1 sum over s  of F(up) F(wide)
    compare   weight = (F^-1 sum over N  of F(image) conj(F(up)))[:: dilation]

Every transform has the length `spec.good_length(span)`: what wraps around falls outside of what is read. Below, images
are (n, G, B, *image), places (n, G, S, *places) and spectra flat, that of the weight (G, S, B, F).

Source: M. Mathieu, M. Henaff, Y. LeCun, "Fast Training of Convolutional Networks through FFTs", arXiv 1312.5851; there
without stride, dilation and groups.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, ClassVar, final

import torch
from torch.nn import functional as F

from ninefold.ops.engine import Engine
from ninefold.ops.engines.sides import Sides, at
from ninefold.spec import good_length

if TYPE_CHECKING:
    from torch import Tensor

    from ninefold.spec import Axes, ConvSpec

BUFFER_BYTES = 512 * 2**20
COPIES = 3  # a spectrum, the same rearranged for the multiplication, and the padded values it comes from
DEVICES = ("cpu", "cuda")


@final
class Fft(Engine[torch.Tensor]):
    """Transform, multiply, transform back; in float32 for half precision, rounded once.

    The batch is worked through in parts.

    Args:
        buffer_bytes: what the spectra of the weight and of a part of the batch may take; a convolution is refused where
            the weight and one picture need more.
    """

    name: ClassVar[str] = "fft"
    is_exact: ClassVar[bool] = False

    def __init__(self, buffer_bytes: int = BUFFER_BYTES) -> None:
        self.buffer_bytes = buffer_bytes

    def why_not(self, spec: ConvSpec, device: torch.device, dtype: torch.dtype) -> str | None:
        """Refuse spectra beyond the buffer, and devices whose Fourier transform was not tried."""
        if device.type not in DEVICES:
            return f"fft runs on {' and '.join(DEVICES)} only, and the device is {device.type}"
        needed = sum(_spectra_bytes(Sides.of(spec), dtype))
        if needed <= self.buffer_bytes:
            return None
        sizes = f"{needed / 2**20:.0f} MiB for the spectra of the weight and one picture"
        return f"fft would take {sizes}, and it may take {self.buffer_bytes / 2**20:.0f} MiB"

    def prepare(self, weight: Tensor, spec: ConvSpec) -> Tensor:  # -> (G, S, B, F), complex
        """Transform the weight, its dilation written out as zeros."""
        sides = Sides.of(spec)
        return _transform(_spaced(sides.grouped_weight(weight), sides.dilation), sides)

    def run(self, x: Tensor, prepared: Tensor, bias: Tensor | None, spec: ConvSpec) -> Tensor:
        """Slide or spread, part by part of the batch, and add the bias."""
        sides = Sides.of(spec)
        compute = _spread if spec.transposed else _slide
        y = torch.cat([compute(part, prepared, sides) for part in self._parts(x, sides)]).flatten(1, 2)
        if bias is not None:
            y += bias.view(-1, *(1,) * spec.dims)
        return y.to(x.dtype)

    def weight_gradient(self, x: Tensor, grad: Tensor, spec: ConvSpec) -> Tensor:
        """Compare, part by part of the batch, and sum."""
        sides = Sides.of(spec)
        parts = zip(self._parts(x, sides), self._parts(grad, sides), strict=True)
        weight = torch.stack([_compare(image, places, sides) for image, places in parts]).sum(0)
        return weight.flatten(0, 1).to(x.dtype)

    def _parts(self, side: Tensor, sides: Sides) -> tuple[Tensor, ...]:  # each (n, G, C, *size)
        weight, picture = _spectra_bytes(sides, side.dtype)
        return torch.split(sides.grouped(side), max(1, (self.buffer_bytes - weight) // picture))


def _slide(image: Tensor, weight: Tensor, sides: Sides) -> Tensor:  # -> (n, G, S, *places)
    spectrum = torch.einsum("ngbf,gsbf->ngsf", _transform(_placed(image, sides), sides), weight.conj())
    steps = zip(sides.stride, sides.places, strict=True)
    return at(_back(spectrum, sides), (slice(0, s * (p - 1) + 1, s) for s, p in steps))


def _spread(places: Tensor, weight: Tensor, sides: Sides) -> Tensor:  # -> (n, G, B, *image)
    up = _transform(_spaced(places, sides.stride), sides)
    return _unplaced(_back(torch.einsum("ngsf,gsbf->ngbf", up, weight), sides), sides)


def _compare(image: Tensor, places: Tensor, sides: Sides) -> Tensor:  # -> (G, S, B, *kernel)
    up = _transform(_spaced(places, sides.stride), sides)
    spectrum = torch.einsum("ngbf,ngsf->gsbf", _transform(_placed(image, sides), sides), up.conj())
    steps = zip(sides.dilation, sides.kernel, strict=True)
    return at(_back(spectrum, sides), (slice(0, d * (k - 1) + 1, d) for d, k in steps))


def _transform(values: Tensor, sides: Sides) -> Tensor:  # (..., *size) -> (..., F)
    wide = values.to(torch.promote_types(values.dtype, torch.float32))
    dims = len(sides.kernel)
    spectrum: Tensor = torch.fft.rfftn(wide, s=_lengths(sides), dim=tuple(range(-dims, 0)))
    return spectrum.flatten(-dims)


def _back(spectrum: Tensor, sides: Sides) -> Tensor:  # (..., F) -> (..., *lengths)
    lengths = _lengths(sides)
    values: Tensor = torch.fft.irfftn(spectrum.view(*spectrum.shape[:-1], *_frequencies(lengths)), s=lengths)
    return values


def _lengths(sides: Sides) -> Axes:
    return tuple(good_length(max(span, before)) for span, before in zip(sides.span, sides.before, strict=True))


def _frequencies(lengths: Axes) -> Axes:
    return (*lengths[:-1], lengths[-1] // 2 + 1)


def _spaced(values: Tensor, steps: Axes) -> Tensor:
    """Put step - 1 zeros between neighbours."""
    size = tuple(s * (n - 1) + 1 for s, n in zip(steps, values.shape[-len(steps) :], strict=True))
    spaced = values.new_zeros(*values.shape[: -len(steps)], *size)
    at(spaced, (slice(None, None, s) for s in steps)).copy_(values)
    return spaced


def _placed(image: Tensor, sides: Sides) -> Tensor:
    """Put the image where the kernel expects it: behind `before` zeros, and no longer than the transform."""
    return F.pad(image, [n for pair in _margins(sides) for n in pair])


def _unplaced(values: Tensor, sides: Sides) -> Tensor:
    """Take the image out of a transform's values: the inverse of `_placed`."""
    return F.pad(values, [-n for pair in _margins(sides) for n in pair])


def _margins(sides: Sides) -> list[tuple[int, int]]:
    axes = zip(sides.before, sides.image, _lengths(sides), strict=True)
    return [(before, length - before - n) for before, n, length in axes][::-1]  # F.pad wants the last axis first


def _spectra_bytes(sides: Sides, dtype: torch.dtype) -> tuple[int, int]:
    """Give what the spectra take of the weight, and of one picture's image and places."""
    image, places = sides.image_channels, sides.place_channels
    number = COPIES * torch.promote_types(dtype, torch.complex64).itemsize
    group = number * sides.groups * prod(_frequencies(_lengths(sides)))
    return group * image * places, group * (image + places)
