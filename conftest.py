"""What all tests share: no time limit per hypothesis example (machines are shared), a cache folder of their own."""

import os
from importlib.util import find_spec

import pytest
from hypothesis import settings

settings.register_profile("ninefold", deadline=None, derandomize=True)
settings.load_profile("ninefold")

collect_ignore_glob = [] if find_spec("triton") else ["src/ninefold/kernels/triton/*"]  # for their doctests


@pytest.fixture(autouse=True, scope="session")
def _own_cache(tmp_path_factory):
    """Keep what tests measure and download out of the user's cache folder."""
    before = os.environ.get("NINEFOLD_CACHE")
    os.environ["NINEFOLD_CACHE"] = str(tmp_path_factory.mktemp("cache"))
    yield
    if before is None:
        del os.environ["NINEFOLD_CACHE"]
    else:
        os.environ["NINEFOLD_CACHE"] = before
