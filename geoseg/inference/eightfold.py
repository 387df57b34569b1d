"""Test-time augmentation: the mean of the network's answers to a window laid in all eight ways."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from geoseg.inference.network import Network, Precision

_FLIPS = ((), (1,), (2,), (1, 2))


class EightfoldNetwork:
    """A network that asks others eight times: mirrored and turned by right angles in every way there is."""

    def __init__(self, network: Network, turned: Network) -> None:
        """Take a network, and the same one built for windows with height and width exchanged."""
        self._upright, self._turned = network, turned
        self.device: str = network.device
        self.precision: Precision = network.precision

    def scores(self, pixels: NDArray[Any]) -> NDArray[np.float32]:
        """Return the mean class probabilities (classes, core height, core width)."""
        turned = pixels.swapaxes(1, 2)
        upright = sum(np.flip(self._upright.scores(np.flip(pixels, axes)), axes) for axes in _FLIPS)
        lying = sum(np.flip(self._turned.scores(np.flip(turned, axes)), axes) for axes in _FLIPS)
        total = np.asarray(upright, np.float32) + np.asarray(lying, np.float32).swapaxes(1, 2)
        return np.ascontiguousarray(total / np.float32(2 * len(_FLIPS)))

    def decide(self, pixels: NDArray[Any]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Return class indices and confidence in percent, each (core height, core width)."""
        scores = self.scores(pixels)
        return scores.argmax(0).astype(np.uint8), np.rint(scores.max(0) * 100).astype(np.uint8)
