"""A real process with processes of its own, ended in the middle."""

import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier

from ninefold.training.crossval import Plan, cross_validate

RUN = """
import signal
import sys
from functools import partial
from pathlib import Path
import numpy as np
from sklearn.ensemble import RandomForestClassifier
from ninefold.records import Examples
from ninefold.training.crossval import Plan, cross_validate
signal.signal(signal.SIGINT, signal.default_int_handler)  # whatever the shell made of it
columns = np.load(sys.argv[1])
examples = Examples(*(columns[name] for name in ("values", "labels", "groups", "subjects")), ("low", "high"), ("s01",))
models = {"forest": partial(RandomForestClassifier, 40, random_state=0)}
cross_validate(examples, models, Plan("leave-one-trial-out"), Path(sys.argv[2]), jobs=2, progress="none")
"""


@pytest.mark.slow
@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGINT])
def test_a_run_that_is_ended_leaves_no_process_and_is_taken_up(end, marked, tmp_path):
    examples, out = marked(subjects=1, trials=24), tmp_path / "run"
    np.savez(tmp_path / "data.npz", **{name: getattr(examples, name) for name in examples._fields[:4]})
    command = [sys.executable, "-c", RUN, str(tmp_path / "data.npz"), str(out)]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
        while len(list(out.glob("folds/forest*"))) < 3:
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(end)
        process.communicate(timeout=120)  # which waits for its own processes too: they hold the pipe as well
    assert process.returncode == -end
    models = {"forest": lambda: RandomForestClassifier(40, random_state=0)}
    whole = cross_validate(examples, models, Plan("leave-one-trial-out"), jobs=1, progress="none")
    again = cross_validate(examples, models, Plan("leave-one-trial-out"), out, jobs=1, progress="none")
    assert 3 <= again.taken_up < 24
    assert np.array_equal(again.predicted["forest"], whole.predicted["forest"])
