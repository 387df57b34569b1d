"""What the libraries of networks do when they are imported: child processes with an empty home and no network."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap

import numpy as np

from geoseg.inference.network import WindowShape
from geoseg.inference.on_openvino import OpenVINONetwork
from tests.networks import FP32, ROUNDING

PRELUDE = """
import json, os, pathlib, sys
touched = []
def guard(event, arguments):
    if event.startswith(("socket.", "http.", "urllib.")):
        touched.append(event)
        raise OSError("no network in this test")
sys.addaudithook(guard)
def report(**more):
    home = pathlib.Path.home()
    print(json.dumps({"touched": touched, "home": [str(p) for p in home.rglob("*")], **more}))
"""


BUILD = """
from geoseg.inference.network import RunsOn, WindowShape
from geoseg.inference.runtime import build_network
from geoseg.model.file import load_model
import numpy as np
model = load_model(sys.argv[1])
network = build_network(model, WindowShape(64, 64, 16), RunsOn("cpu", "fp32", 1))
pixels = (np.arange(3 * 64 * 64) * 7 % 256).astype(np.uint8).reshape(3, 64, 64)
scores = network.scores(pixels)
"""


def child(code, environment, *arguments):
    """Run code in a guarded child and return what it reports."""
    done = subprocess.run(
        [sys.executable, "-c", PRELUDE + textwrap.dedent(code), *map(str, arguments)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_the_guard_notices(bare_environment):
    """A child that does both things is caught at both, or the next test proves nothing."""
    found = child(
        """
        import socket
        try:
            socket.create_connection(("127.0.0.1", 9), timeout=1)
        except OSError:
            pass
        (pathlib.Path.home() / "intel").mkdir()
        report()
        """,
        bare_environment,
    )
    assert found["touched"]
    assert len(found["home"]) == 1


def test_openvino_comes_without_converter_torch_network_or_traces(bare_environment, tiny_model_path):
    found = child(
        BUILD
        + """
import threading, time
for thread in threading.enumerate():
    if thread is not threading.main_thread():
        thread.join(2)
loaded = [name for name in sys.modules if sys.modules[name] is not None]
heavy = [name for name in ("torch", "openvino.tools.ovc", "geopandas", "rasterio") if name in loaded]
report(kind=type(network).__name__, heavy=heavy, telemetry=[n for n in loaded if "telemetry" in n.lower()])
""",
        bare_environment,
        tiny_model_path,
    )
    assert found == {"touched": [], "home": [], "kind": "OpenVINONetwork", "heavy": [], "telemetry": []}


def test_a_converter_that_is_already_loaded_stays(bare_environment):
    found = child(
        """
        import types
        mine = sys.modules["openvino.tools.ovc"] = types.ModuleType("openvino.tools.ovc")
        import geoseg.inference.on_openvino
        report(same=sys.modules["openvino.tools.ovc"] is mine)
        """,
        bare_environment,
    )
    assert found["same"]


def test_torch_stands_in_where_openvino_cannot_be_imported(bare_environment, tiny_model_path, tiny_model):
    found = child(
        "sys.modules['openvino'] = None\n"
        + BUILD
        + """
kind, device, precision = type(network).__name__, network.device, network.precision
report(kind=kind, device=device, precision=precision, scores=scores.tolist())
""",
        bare_environment,
        tiny_model_path,
    )
    assert (found["kind"], found["device"], found["precision"]) == ("TorchNetwork", "cpu", "fp32")
    assert found["touched"] == found["home"] == []
    pixels = (np.arange(3 * 64 * 64) * 7 % 256).astype(np.uint8).reshape(3, 64, 64)
    here = OpenVINONetwork(tiny_model, WindowShape(64, 64, 16), FP32).scores(pixels)
    np.testing.assert_allclose(np.array(found["scores"]), here, rtol=0, atol=ROUNDING)
