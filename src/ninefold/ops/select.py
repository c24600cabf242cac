"""Which engine computes: the ordered list, what each refuses, and the measured choice of `auto`."""

from __future__ import annotations

import platform
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, final, get_args

import torch

from ninefold.errors import InvalidInput, UnknownName, Unsupported
from ninefold.ops.choices import choices
from ninefold.ops.engine import Precision
from ninefold.ops.engines import Depthwise, Direct, Fft, Im2col, Native, Reference, Winograd
from ninefold.ops.measure import fastest

if TYPE_CHECKING:
    from ninefold.ops.engine import Direction, Engine
    from ninefold.ops.measure import Attempt
    from ninefold.spec import ConvSpec

AUTO: Final = "auto"
EXACT: Final = "auto, exact"  # among those only whose rounding errors are within twice those of summing directly
ENGINES: tuple[Engine[Any], ...] = (
    *(Winograd(), Direct(), Depthwise()),
    *(Native(), Im2col(), Fft(), Reference()),
)
NAMES = tuple(engine.name for engine in ENGINES)
_PRECISIONS: Final = get_args(Precision)


@final
@dataclass(frozen=True, slots=True)
class Job:
    """What an engine is chosen for.

    Args:
        spec: the convolution; for "weight_gradient" the dense one whose weight's gradient is wanted.
        device: of all tensors.
        dtype: of all tensors.
        direction: "conv" or "weight_gradient".
        precision: "exact" for engines alone that are.
    """

    spec: ConvSpec
    device: torch.device
    dtype: torch.dtype
    direction: Direction
    precision: Precision = "fast"


def explain(spec: ConvSpec, device: torch.device | str, dtype: torch.dtype) -> dict[str, str | None]:
    """Tell for every engine, best first, why it cannot compute `spec`; None where it can.

    >>> from ninefold.spec import ConvSpec
    >>> wide = ConvSpec.of((1, 64, 2048, 2048), (64, 64, 31, 31), padding="same")
    >>> for name, reason in explain(wide, "cpu", torch.float32).items():
    ...     print(name, "|", reason)
    winograd | winograd refuses: it computes 3x3 at stride 1 without dilation; got kernel=(31, 31), stride=(1, 1), ...
    direct | None
    depthwise | depthwise refuses: it takes one output channel and one group per input channel; got in_channels=64, ...
    torch | None
    im2col | None
    fft | fft would take 225743 MiB for the spectra of the weight and one picture, and it may take 512 MiB
    reference | None
    """
    return {engine.name: engine.why_not(spec, torch.device(device), dtype) for engine in ENGINES}


def check_name(name: str) -> None:
    """Refuse a name that is neither "auto" nor an engine's.

    Raises:
        UnknownName: quoting the nearest names.
    """
    if name not in (AUTO, EXACT, *NAMES):
        raise UnknownName.among("engine", str(name), (AUTO, *NAMES))


def rule(name: str, precision: Precision) -> str:
    """Give the name by which `choose` takes an engine at a precision.

    Args:
        name: an engine's name or "auto".
        precision: "fast" for any engine, "exact" for those whose rounding errors are within twice those of summing
            directly.

    Raises:
        UnknownName: when there is no engine of that name.
        InvalidInput: when there is no such precision, or the named engine is not that exact.
    """
    check_name(name)
    if precision not in _PRECISIONS:
        raise InvalidInput(f"precision={precision!r} is not known; use one of {', '.join(_PRECISIONS)}")
    if precision == "fast":
        return name
    if name in NAMES and not _named(name).is_exact:
        exact = ", ".join(engine.name for engine in ENGINES if engine.is_exact)
        raise InvalidInput(f"engine={name!r} came with precision='exact'; use engine='auto' or one of {exact}")
    return EXACT if name == AUTO else name


def choose(name: str, job: Job, attempt: Attempt) -> Engine[Any]:
    """Give the engine of that name; for "auto" the one measured fastest, on this call or an earlier one.

    Args:
        name: an engine's name, "auto", or what `rule` gives.
        job: what is to be computed.
        attempt: computes it with an engine; called only where "auto" has to measure.

    Raises:
        Unsupported: when the named engine cannot, with its reason.
        UnknownName: when there is no engine of that name.
    """
    check_name(name)
    if name == EXACT:
        return _measured(replace(job, precision="exact"), attempt)
    return _measured(job, attempt) if name == AUTO else _willing(name, job)


def _willing(name: str, job: Job) -> Engine[Any]:
    engine = _named(name)
    reason = engine.why_not(job.spec, job.device, job.dtype)
    if reason is not None:
        raise Unsupported(f"{reason}; engine='auto' takes another one for {job.spec}")
    return engine


def _measured(job: Job, attempt: Attempt) -> Engine[Any]:
    key, known = _key(job, torch.get_num_threads()), choices()
    remembered = known.get(key)
    if remembered in NAMES and (engine := _named(remembered)).why_not(job.spec, job.device, job.dtype) is None:
        return engine
    able = [engine for engine in ENGINES if engine.why_not(job.spec, job.device, job.dtype) is None]
    able = [engine for engine in able if engine.is_exact or job.precision == "fast"]
    # The reference takes everything, comes last and is never fastest.
    rivals = [engine for engine in able[:-1] if job.spec.macs >= engine.least_macs]
    if len(rivals) < 2:
        return (rivals or able)[0]
    for engine in rivals:
        engine.warm_up(job.spec, job.direction)
    chosen = fastest(rivals, attempt, job.device)
    known.put(key, chosen.name)
    return chosen


def _named(name: str) -> Engine[Any]:
    return ENGINES[NAMES.index(name)]


@lru_cache(maxsize=4096)
def _key(job: Job, threads: int) -> str:
    """Name machine, shape and direction in one readable line."""
    spec, dtype = job.spec, str(job.dtype).removeprefix("torch.")
    parts = (
        _hardware(job.device),
        f"{threads} threads",
        f"torch {torch.__version__}",
        f"ninefold {version('ninefold')}",
        f"{job.device.type} {dtype}",
        f"{job.direction}{', exact' if job.precision == 'exact' else ''}",
        f"{'transposed ' if spec.transposed else ''}{spec.input_shape} {spec.weight_shape}",
        f"stride {spec.stride} padding {spec.padding} dilation {spec.dilation} groups {spec.groups}",
        f"output_padding {spec.output_padding}",
    )
    return " | ".join(parts)


@cache
def _hardware(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return _cpu_model()


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.machine()
