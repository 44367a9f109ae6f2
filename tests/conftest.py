"""Every test runs on few threads, because several test processes share the cores, and on the same random numbers."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest  # noqa: E402
import torch  # noqa: E402


@pytest.fixture(autouse=True)
def same_random_numbers():
    torch.manual_seed(0)
