"""From the text of a module to addresses that can be called, through a cache of object code on disk."""

from __future__ import annotations

import ctypes
import hashlib
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import llvmlite
from llvmlite import binding

from ninefold.storage import cache_folder, write_bytes

if TYPE_CHECKING:
    from pathlib import Path

    from ninefold.kernels.llvm.target import Target

# Six pointers and four integers: see `text.ENTRY`. ctypes lets go of the interpreter's lock during the call.
KERNEL: Final = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 6, *[ctypes.c_int64] * 4)
_LEVEL: Final = 3  # of LLVM's code generation; its passes over the IR are not run, the text is written as it should be
_SUM: Final = 32  # bytes of a SHA-256


@dataclass(frozen=True, slots=True)
class Library:
    """Compiled functions, in memory for as long as this value is.

    Args:
        addresses: of the exported functions, by name.
        code: the object code.
        owner: what keeps the memory.
    """

    addresses: dict[str, int]
    code: bytes
    owner: Any

    def kernel(self, name: str) -> Any:
        """Give a kernel as something Python can call with addresses and ranges; it keeps this library in memory."""
        function = KERNEL(self.addresses[name])
        function.library = self
        return function


def library(text: str, names: tuple[str, ...], target: Target) -> Library:
    """Compile a module, or take its object code from the cache folder, and load it.

    The code is kept as `kernels/KEY` in the cache folder, where KEY is a hash of the text, the processor and its
    features, and the version of llvmlite. A file is written whole or not at all and begins with a checksum of what
    follows, so that a damaged one is compiled again; a folder that cannot be written costs the time of compiling.

    Args:
        text: of the module.
        names: of the functions to export.
        target: what it was written for.
    """
    path = cache_folder() / "kernels" / _key(text, target)
    code = _read(path)
    if code is None:
        code = compiled(text, target)
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            write_bytes(path, hashlib.sha256(code).digest() + code)
    return _loaded(code, names, target)


def compiled(text: str, target: Target) -> bytes:
    """Give the object code of a module."""
    code: bytes = _machine(target).emit_object(_parsed(text))
    return code


def assembly(text: str, target: Target) -> str:
    """Give the assembly of a module, to be read by people and tests."""
    written: str = _machine(target).emit_assembly(_parsed(text))
    return written


def _parsed(text: str) -> Any:
    _initialized()
    module = binding.parse_assembly(text)
    module.verify()
    return module


def _read(path: Path) -> bytes | None:
    try:
        content = path.read_bytes()
    except OSError:
        return None
    code = content[_SUM:]
    return code if hashlib.sha256(code).digest() == content[:_SUM] else None


def _loaded(code: bytes, names: tuple[str, ...], target: Target) -> Library:
    _initialized()
    engine = binding.create_mcjit_compiler(binding.parse_assembly(""), _machine(target))
    engine.add_object_file(binding.ObjectFileRef.from_data(code))
    engine.finalize_object()
    return Library({name: engine.get_function_address(name) for name in names}, code, engine)


def _key(text: str, target: Target) -> str:
    parts = (text, target.cpu, target.features, llvmlite.__version__, str(_LEVEL))
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _machine(target: Target) -> Any:
    # A new one each time: an execution engine takes its machine over.
    _initialized()
    triple = binding.Target.from_default_triple()
    return triple.create_target_machine(cpu=target.cpu, features=target.features, opt=_LEVEL)


@cache
def _initialized() -> None:
    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
