"""One of the processes that `launch` starts: `python -m ninefold.training.worker REQUEST`."""

from __future__ import annotations

import json
import os
import sys
import threading
import traceback
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ninefold.training.launch import is_main_process
from ninefold.training.running import train
from ninefold.training.settings import Settings


def work(request: dict[str, Any]) -> int:
    """Train as asked, leave the report or the error in the request's outcome file, and give the exit code."""
    try:
        report = train(
            Settings.from_yaml(request["settings"]),
            Path(request["out"]),
            resume=request["resume"],
            progress=request["progress"] if is_main_process() else "none",
        )
        outcome, code = {"report": asdict(report)}, 0
    except KeyboardInterrupt:
        return 130
    except Exception as error:  # noqa: BLE001  # the parent raises it again
        outcome, code = _told(error), 1
    Path(request["outcome"]).write_text(json.dumps(outcome))
    return code


def _told(error: Exception) -> dict[str, str]:
    return {"error": type(error).__name__, "message": str(error), "trace": traceback.format_exc()}


def _end_with_parent() -> None:
    # Straight from the file descriptor: a thread inside sys.stdin would hold its lock when the interpreter ends.
    os.read(0, 1)
    os._exit(1)


if __name__ == "__main__":
    threading.Thread(target=_end_with_parent, daemon=True).start()
    sys.exit(work(json.loads(sys.argv[1])))
