"""Every test runs on few threads: several test processes share the cores."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
