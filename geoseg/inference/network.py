"""What the rest of inference needs of a network, whatever runs it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


Precision = Literal["fp32", "bf16", "int8"]


@dataclass(frozen=True, slots=True)
class WindowShape:
    """The one shape of input a network is built for."""

    height: int
    width: int
    halo: int
    """Pixels on each side that are seen but not answered for."""


@dataclass(frozen=True, slots=True)
class RunsOn:
    """Where and how a network is run."""

    device: str = "auto"
    """``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``."""
    precision: Precision | None = None
    """None takes the fastest that keeps the classes: bf16 where the hardware has it, else fp32."""
    threads: int | None = None
    """Threads of arithmetic on the CPU; None uses every core."""


class Network(Protocol):
    """A network built for one window shape."""

    device: str
    precision: Precision

    def decide(self, pixels: NDArray[Any]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Return class indices and confidence in percent, each (core height, core width).

        Args:
            pixels: (bands, height, width), uint8 or float32 in the card's value range.
        """
        ...

    def scores(self, pixels: NDArray[Any]) -> NDArray[np.float32]:
        """Return class probabilities (classes, core height, core width) of ``pixels`` as above."""
        ...
