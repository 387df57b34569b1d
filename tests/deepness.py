"""What the QGIS plugin Deepness asks of an ONNX file and does with it, written anew from its documented behaviour.

No QGIS and no OpenCV: tiles come as arrays, and only what decides whether a model loads and which class a pixel gets is
here.
"""

import ast
import json

import numpy as np
import onnxruntime


class Deepness:
    """A segmentation model as the plugin opens it; raises ValueError where the plugin would."""

    def __init__(self, path):
        self.session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        inputs, outputs = self.session.get_inputs(), self.session.get_outputs()
        if len(inputs) != 1 or len(outputs) != 1:
            raise ValueError(f"{len(inputs)} inputs and {len(outputs)} outputs, not one of each")
        self.given, self.shape = inputs[0].shape, outputs[0].shape
        if len(self.given) != 4 or len(self.shape) != 4:
            raise ValueError(f"{self.given} to {self.shape} are not four dimensions each")
        if self.shape[2] != self.shape[3]:  # compared as they stand, so that 'height' and 'width' are not equal
            raise ValueError(f"the output {self.shape} is not square")
        self.told = self.session.get_modelmeta().custom_metadata_map

    def value(self, key, kind):
        """Return a metadata value; every one is JSON text."""
        return kind(json.loads(self.told[key])) if key in self.told else None

    @property
    def model_type(self):
        return self.value("model_type", str).capitalize()

    @property
    def tile(self):
        return self.value("tile_size", int)

    @property
    def batch(self):
        """Tiles at a time; None where the file leaves it open by a name."""
        return None if isinstance(self.given[0], str) else self.given[0]

    @property
    def stride(self):
        """Pixels from one tile to the next."""
        return self.tile - int(self.tile * self.value("tiles_overlap", int) / 100 * 2) // 2

    def class_names(self):
        """Return the names in the order of their numbers, which must count from 0 without a gap."""
        text = next(self.told[key] for key in ("class_names", "names") if key in self.told)
        try:
            named = json.loads(text)
        except json.JSONDecodeError:
            named = ast.literal_eval(text)
        if sorted(map(int, named)) != list(range(len(named))):
            raise ValueError(f"the numbers of {named} are not consecutive from 0")
        return [name for _, name in sorted(named.items(), key=lambda entry: int(entry[0]))]

    def process(self, tiles, threshold=None):
        """Return the classes of tiles.

        Args:
            tiles: shape (tiles, height, width, bands), uint8; bands that the model does not take are left out.
            threshold: what a probability must reach; None takes the file's.
        """
        threshold = self.value("seg_thresh", float) if threshold is None else threshold
        wanted = tiles[:, :, :, : self.given[-3]]
        pixels = np.float32(wanted * 1.0 / 255.0).transpose(0, 3, 1, 2)
        (result,) = self.session.run(None, {self.session.get_inputs()[0].name: pixels})
        result[result < threshold] = 0.0
        return (result != 0).astype(int)[:, 0] if result.shape[1] == 1 else result.argmax(1)

    def map(self, image):
        """Return the classes of an image (height, width, bands): tiles cut in the middle of what they share."""
        height, width = image.shape[:2]
        overlap = self.tile - self.stride
        steps = [max(1, -(-(size - overlap) // self.stride)) for size in (height, width)]
        whole = [count * self.stride + overlap for count in steps]
        frame = np.zeros((*whole, image.shape[2]), np.uint8)
        frame[:height, :width] = image
        classes = np.zeros(whole, int)
        for row in range(steps[0]):
            for col in range(steps[1]):
                y, x = row * self.stride, col * self.stride
                found = self.process(frame[None, y : y + self.tile, x : x + self.tile])[0]
                top, left = (0 if at == 0 else overlap // 2 for at in (row, col))
                bottom, right = (
                    self.tile - (0 if at == count - 1 else overlap // 2)
                    for at, count in zip((row, col), steps, strict=True)
                )
                classes[y + top : y + bottom, x + left : x + right] = found[top:bottom, left:right]
        return classes[:height, :width]
