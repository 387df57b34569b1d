"""What stays ready between runs of one process: the model last used, and the networks built of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from geoseg.errors import ModelError
from geoseg.inference.runtime import build_network
from geoseg.model.file import load_model, model_files

if TYPE_CHECKING:
    from geoseg.inference.network import Network, RunsOn, WindowShape
    from geoseg.model.file import Model

_NETWORKS = 8  # window shapes of one model that stay compiled


class Warm:
    """Hands out models and networks, and keeps them: compiling one takes as long as a small tile. For one thread."""

    def __init__(self) -> None:
        self._model: tuple[tuple[tuple[str, int, int], ...], Model] | None = None
        self._networks: dict[tuple[str, WindowShape, RunsOn], Network] = {}

    def model(self, name: str) -> Model:
        """Return the model of a file, read again when the file has changed; raises ModelError."""
        try:
            found = [(str(path), path.stat()) for path in model_files(name)]
            stamp = tuple((path, status.st_size, status.st_mtime_ns) for path, status in found)
        except (OSError, ModelError):
            return load_model(name)  # says what is wrong
        if self._model is None or self._model[0] != stamp:
            self._model = stamp, load_model(name)
            self._networks.clear()
        return self._model[1]

    def network(self, model: Model, shape: WindowShape, runs_on: RunsOn) -> Network:
        """Return a network for windows of a shape; raises what :func:`build_network` does."""
        key = model.card.tensors_sha256, shape, runs_on
        network = self._networks.pop(key, None) or build_network(model, shape, runs_on)
        self._networks[key] = network
        while len(self._networks) > _NETWORKS:
            del self._networks[next(iter(self._networks))]
        return network
