"""Fixtures that several test files share: small models, small scenes, real images beside a checkout."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest

import geoseg  # noqa: F401 - sets GDAL's environment before rasterio is first imported
from geoseg.model.card import Domain, ModelCard
from geoseg.model.file import Model, load_model, save_model
from geoseg.model.network import NetworkSpec
from geoseg.vocabulary import DEFAULT_LEGEND, Legend, MapClass

if TYPE_CHECKING:
    import numpy as np

SHARED_DATA = Path(__file__).parents[1].parent / "shared" / "data"

# A busy machine must not turn a slow one into a failure.
hypothesis.settings.register_profile("geoseg", deadline=None, max_examples=60)
hypothesis.settings.load_profile("geoseg")


def random_weights(spec: NetworkSpec, seed: int, high: float) -> dict[str, np.ndarray]:
    """Return weights whose batch normalizations hold the statistics of the noise that went through them.

    Args:
        spec: shape of the network.
        seed: of weights and noise.
        high: normalized pixels lie between -high and high.
    """
    import torch

    from geoseg.model.torch_unet import UNet

    torch.set_num_threads(1)
    random = torch.Generator().manual_seed(seed)
    net = UNet(spec)
    side = 2 * spec.stride if spec.stride >= 16 else 32
    noise = (torch.rand(4, spec.bands, side, side, generator=random) * 2 - 1) * high
    with torch.no_grad():
        for name, tensor in net.named_parameters():
            if ".norm." in name:
                shift = 1.0 if name.endswith("weight") else 0.0
                tensor.copy_(torch.rand(tensor.shape, generator=random) - 0.5 + shift)
            else:
                fan = max(1, tensor[0].numel())
                tensor.copy_(torch.randn(tensor.shape, generator=random) * (2 / fan) ** 0.5)
        for module in net.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.momentum = None  # the plain mean of what it saw
        scores = net.train()(noise)
        scores = net.eval()(noise)
        # every class is the answer somewhere, and answers are neither certain nor all alike
        net.head.weight.mul_(1 / scores.std())
        scores = net(noise)
        net.head.bias.sub_(scores.mean((0, 2, 3)).repeat_interleave(spec.patch**2))
    state = net.state_dict()
    return {name: state[name].numpy().copy() for name in spec.tensor_shapes()}


def a_legend(classes: int) -> Legend:
    """Return the first classes of the default legend; one is added where five are not enough."""
    more = [MapClass(9 + i, f"extra {i}", f"extra_{i}", f"#0000{i:02X}", "#112233") for i in range(classes - 5)]
    return Legend((*DEFAULT_LEGEND.classes[:classes], *more))


def a_card(
    spec: NetworkSpec, *, radius: int = 0, value_range: tuple[float, float] = (0, 255), name="random"
) -> ModelCard:
    """Return a card for a network: mean in the middle of the range, a quarter of it as deviation."""
    low, high = value_range
    middle = tuple((low + high) / 2 + i * (high - low) / 50 for i in range(spec.bands))
    deviation = tuple((high - low) / (4 + i / 10) for i in range(spec.bands))
    return ModelCard(
        name=name,
        version="1",
        network=spec,
        bands=("red", "green", "blue", "nir", "red2", "green2")[: spec.bands],
        value_range=value_range,
        mean=middle,
        std=deviation,
        resolution_m=1.0,
        legend=a_legend(spec.classes),
        receptive_radius=radius,
        domain=Domain((0.5, 2.0), tuple((low, high) for _ in range(spec.bands)), "noise"),
        license="CC0-1.0",
    )


@pytest.fixture(scope="session")
def make_model(tmp_path_factory):
    """Return a function that writes a model file of random weights and loads it again."""

    def make(spec: NetworkSpec, *, seed: int = 0, **of_card) -> Model:
        path = tmp_path_factory.mktemp("model") / "random.safetensors"
        save_model(path, a_card(spec, **of_card), random_weights(spec, seed, 2.0))
        return load_model(path)

    return make


@pytest.fixture(scope="session")
def tiny_spec() -> NetworkSpec:
    """Return the bundled network's shape with few channels: stride 16, radius 94 (measured in its test)."""
    return NetworkSpec(3, 5, (4, 8, 8, 8, 8))


@pytest.fixture(scope="session")
def tiny_model_path(tmp_path_factory, tiny_spec) -> Path:
    """Return the file of a small model with random weights."""
    path = tmp_path_factory.mktemp("tiny") / "tiny.safetensors"
    save_model(path, a_card(tiny_spec, radius=94, name="tiny"), random_weights(tiny_spec, 1, 2.0))
    return path


@pytest.fixture(scope="session")
def tiny_model(tiny_model_path) -> Model:
    """Return a small model with random weights."""
    return load_model(tiny_model_path)


@pytest.fixture(scope="session")
def write_scene():
    """Return a function that writes a small georeferenced scene and returns its path."""
    import rasterio
    from rasterio.transform import from_origin

    def write(path: Path, pixels: np.ndarray, *, pixel_m: float = 1.0, **profile) -> Path:
        count, height, width = pixels.shape
        placing = {"crs": "EPSG:32640", "transform": from_origin(330_000, 2_780_000, pixel_m, pixel_m)}
        size = {"count": count, "height": height, "width": width, "dtype": pixels.dtype}
        with rasterio.open(path, "w", **{"driver": "GTiff", **size, **placing, **profile}) as file:
            file.write(pixels)
        return path

    return write


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Return the folder of real images beside a checkout; skip the test where it is not there."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"{SHARED_DATA} is not here")
    return SHARED_DATA


@pytest.fixture(autouse=True)
def quiet_log():
    """Let every test find the package's log as a new process does: verbs set it, for the whole process."""
    log = logging.getLogger("geoseg")
    before = log.level, list(log.handlers), log.propagate
    log.setLevel(logging.NOTSET)
    log.handlers, log.propagate = [], True
    yield log
    log.setLevel(before[0])
    log.handlers, log.propagate = before[1:]


@pytest.fixture
def run(quiet_log):
    """Return a function that runs the command line here and returns exit code, output and complaints."""

    from click.testing import CliRunner

    from geoseg.cli.main import geoseg as command

    def run_(*words: object) -> tuple[int, str, str]:
        quiet_log.handlers, quiet_log.level = [], 0
        result = CliRunner().invoke(command, [*map(str, words)])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result.exit_code, result.stdout, result.stderr

    return run_


@pytest.fixture
def bare_environment(tmp_path) -> dict[str, str]:
    """Return the environment of a child process with an empty home."""
    home = tmp_path / "home"
    home.mkdir()
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("GEOSEG_", "XDG_"))}
    return kept | {"HOME": str(home), "USERPROFILE": str(home), "OMP_NUM_THREADS": "1"}


# ---- QGIS

QGIS_PYTHON = "/usr/bin/python3"  # the one that Debian's QGIS belongs to, whatever comes first on PATH


@pytest.fixture(scope="session")
def qgis_process() -> str:
    """Return QGIS's command-line program; install it where that was asked for."""
    if os.environ.get("GEOSEG_APT_QGIS") == "1" and not found_qgis() and shutil.which("apt-get"):
        environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        subprocess.run(["apt-get", "update", "-q"], env=environment, check=True)
        wanted = ["qgis", "python3-qgis"]
        subprocess.run(
            ["apt-get", "install", "-y", "-q", "--no-install-recommends", *wanted], env=environment, check=True
        )
    program = found_qgis()
    if program is None:
        pytest.skip("QGIS is not installed")
    return program


def found_qgis() -> str | None:
    # Debian 12 wraps the program in a script that hands it an option it does not know.
    program = shutil.which("qgis_process.bin") or shutil.which("qgis_process")
    asked = [QGIS_PYTHON, "-c", "import qgis.core"]
    if (
        program is None
        or not Path(QGIS_PYTHON).exists()
        or subprocess.run(asked, capture_output=True, check=False).returncode
    ):
        return None
    return program
