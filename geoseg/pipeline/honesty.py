"""Whether a model suits a scene: what is compared with the card's domain, and the sentence that says so."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from geoseg.model.card import ModelCard
    from geoseg.vocabulary import ClassRows, SceneRows

_EVERY = 4  # a sixteenth of the pixels says enough about means
_COLOR_SLACK = 20.0
_LEAST_CONFIDENCE = 0.6


class Impression:
    """Means gathered while a scene passes by."""

    def __init__(self, bands: int) -> None:
        self._color = np.zeros(bands)
        self._pixels = 0
        self._percent = 0
        self._decided = 0
        self._nothing = True

    def of_pixels(self, strip: SceneRows) -> SceneRows:
        """Pass a strip on, adding up the colours of its valid pixels."""
        valid = strip.valid[::_EVERY, ::_EVERY]
        self._color += (strip.pixels[:, ::_EVERY, ::_EVERY] * valid).sum((1, 2), dtype=np.float64)
        self._pixels += int(valid.sum())
        return strip

    def of_classes(self, strip: ClassRows) -> ClassRows:
        """Pass a strip on, adding up its confidences."""
        self._nothing = self._nothing and not strip.classes.any()
        if strip.confidence is not None:
            known = strip.confidence[::_EVERY, ::_EVERY]
            known = known[known <= 100]
            self._percent += int(known.sum(dtype=np.int64))
            self._decided += known.size
        return strip

    @property
    def empty(self) -> bool:
        """Whether nothing but nodata has passed by."""
        return self._nothing

    def warnings(self, card: ModelCard, scene_pixel_m: float, seen_pixel_m: float) -> list[str]:
        """Return one sentence if the scene lies outside the model's domain, else nothing.

        Args:
            card: the model's card.
            scene_pixel_m: ground pixel of the scene; detail that it lacks, resampling does not bring.
            seen_pixel_m: ground pixel that the network saw.
        """
        doubts = []
        low, high = card.domain.resolution_m
        coarsest = max(scene_pixel_m, seen_pixel_m)
        if not low * 0.95 <= coarsest <= high * 1.05:
            doubts.append(f"its ground pixel of {coarsest:.3g} m is outside {low:g} to {high:g} m")
        if self._pixels:
            means = self._color / self._pixels
            known = zip(card.bands, means, card.domain.color_mean, strict=True)
            off = [band for band, mean, (a, b) in known if not a - _COLOR_SLACK <= mean <= b + _COLOR_SLACK]
            if off:
                doubts.append(f"its {' and '.join(off)} values are unlike those it was trained on")
        if self._decided and self._percent / self._decided < 100 * _LEAST_CONFIDENCE:
            doubts.append(f"its mean confidence is only {self._percent / self._decided:.0f} %")
        if not doubts:
            return []
        doubt = (
            f"model {card.name} may not suit this scene: {', and '.join(doubts)}; "
            "check the result, or fine-tune: "
            "geoseg train --init default --scene SCENE --labels LABELS --out mine.safetensors"
        )
        return [doubt]
