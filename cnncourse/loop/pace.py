"""The progress bar of a training, which says when its steps have become slow."""

import math
import time
import warnings
from collections.abc import Iterable

from tqdm import tqdm

LOOK, SLOW = 5.0, 3.0  # seconds between two looks at the pace of the steps, and how much slower is told


class Paced:
    """Batches that move a progress bar on, one step each: an epoch may take minutes. Where steps become much slower
    than they were, a warning says so once."""

    def __init__(self, batches: Iterable, bar: tqdm):
        self.batches, self.bar, self.fastest, self.said = batches, bar, math.inf, False

    def __iter__(self):
        steps, since = 0, time.perf_counter()
        for batch in self.batches:
            yield batch
            self.bar.update()
            steps += 1
            if (seconds := time.perf_counter() - since) > LOOK:
                self.look(seconds / steps)
                steps, since = 0, time.perf_counter()

    def look(self, pace: float) -> None:
        """pace: seconds a step."""
        self.fastest = min(self.fastest, pace)
        if pace > SLOW * self.fastest and not self.said and not self.bar.disable:
            self.said = True
            warnings.warn(f"a step takes {pace / self.fastest:.0f} times as long as before: another program uses the "
                          "processor. Close it, or train in one thread: stop this run, set OMP_NUM_THREADS=1 and start "
                          "it again (--resume goes on with it)", stacklevel=2)
