"""The engines of sparse convolutions, best first, the reference last."""

from typing import Final

from ninefold.errors import UnknownName, Unsupported
from ninefold.sparse.engine import Engine, Job
from ninefold.sparse.engines.gather_gemm_scatter import GatherGemmScatter
from ninefold.sparse.engines.llvm import Llvm
from ninefold.sparse.engines.reference import Reference
from ninefold.sparse.engines.triton import Triton, TritonTf32

ENGINES: Final[tuple[Engine, ...]] = (Llvm(), Triton(), TritonTf32(), GatherGemmScatter(), Reference())


def engine_for(job: Job, name: str = "auto") -> Engine:
    """Give the engine of a name, or the first that can do a job.

    Args:
        job: what is asked.
        name: of an engine, or "auto".

    Raises:
        UnknownName: when there is no such engine.
        Unsupported: when it cannot do the job, with its reason.
    """
    if name == "auto":
        return next(engine for engine in ENGINES if engine.why_not(job) is None)
    found = {engine.name: engine for engine in ENGINES}
    if name not in found:
        raise UnknownName.among("engine of sparse convolutions", name, found)
    if reason := found[name].why_not(job):
        raise Unsupported(f"the engine {name!r} was asked for {job}: {reason}; ask for engine='auto'")
    return found[name]
