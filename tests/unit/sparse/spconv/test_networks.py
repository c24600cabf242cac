import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
def test_two_networks_learn_in_two_steps_on_a_cpu():
    script = Path(__file__).with_name("train_two_steps.py")
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True)
    lines = [line.split() for line in done.stdout.splitlines()]
    assert [line[:2] for line in lines] == [["Second", "712129"], ["MinkUNet", "2011586"]]
    for line in lines:
        first, second, third = map(float, line[2:])
        assert first > second > third
