"""Test-time augmentation: the mean of the network's answers to a window and its mirror images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from geoseg.inference.network import Network, Precision

_FLIPS = ((), (1,), (2,), (1, 2))


class FlippedNetwork:
    """A network that asks another one four times: as it is, mirrored left-right, upside down, and both."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self.device: str = network.device
        self.precision: Precision = network.precision

    def scores(self, pixels: NDArray[Any]) -> NDArray[np.float32]:
        """Return the mean class probabilities (classes, core height, core width)."""
        total = sum(np.flip(self._network.scores(np.flip(pixels, axes)), axes) for axes in _FLIPS)
        return np.asarray(total, np.float32) / np.float32(len(_FLIPS))

    def decide(self, pixels: NDArray[Any]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Return class indices and confidence in percent, each (core height, core width)."""
        scores = self.scores(pixels)
        return scores.argmax(0).astype(np.uint8), np.rint(scores.max(0) * 100).astype(np.uint8)
