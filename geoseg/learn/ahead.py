"""Batches cut ahead of the loop, in threads, and handed over in order."""

from __future__ import annotations

import os
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from geoseg.learn.chips import cut_batch

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Future

    import numpy as np
    from numpy.typing import NDArray

    from geoseg.learn.chips import ChipPlan
    from geoseg.learn.sampling import Sampler

    Batch = tuple[NDArray[np.float32], NDArray[np.uint8]]


def batches(sampler: Sampler, plan: ChipPlan, steps: range, device: str) -> Iterator[tuple[int, Batch]]:
    """Yield each step and its batch.

    Beside a network on the processor one thread suffices; one on a CUDA device keeps all cores busy.
    """
    threads = max(1, (os.cpu_count() or 1) - 1) if device.startswith("cuda") else 1
    with ThreadPoolExecutor(threads) as pool:
        coming: deque[Future[Batch]] = deque()
        try:
            for step in steps:
                while len(coming) < threads + 1 and step + len(coming) < steps.stop:
                    coming.append(pool.submit(cut_batch, sampler, plan, step + len(coming)))
                yield step, coming.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)
