"""Batches of scenes that are read over the network."""

# ruff: noqa: F811 - fixtures are imported

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from tests.batch_runs import RASTER, batch, classes, out, report_of, tiles  # noqa: F401

SERVE = """
import functools, http.server, sys
handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=sys.argv[1])
with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
    print(server.server_port, flush=True)
    server.serve_forever()
"""


@pytest.fixture
def served(tiles):
    """Yield the address at which the tiles are served, and the log of requests."""
    log = tiles.parent / "requests.log"
    with log.open("w") as requests:
        server = subprocess.Popen(
            [sys.executable, "-c", SERVE, str(tiles)], stdout=subprocess.PIPE, stderr=requests, text=True
        )
        try:
            yield f"http://127.0.0.1:{server.stdout.readline().strip()}", log
        finally:
            server.kill()
            server.wait()
            server.stdout.close()


def child(*words: object, env=None) -> subprocess.CompletedProcess:
    """Run the command line in a process of its own."""
    environment = {**os.environ, "no_proxy": "*", "NO_PROXY": "*", **(env or {})}
    words = [sys.executable, "-m", "geoseg", *map(str, words)]
    return subprocess.run(words, env=environment, capture_output=True, text=True, timeout=120, check=False)


def test_addresses_stay_as_they_are(served, tiles, out, tiny_model_path):
    address, log = served
    secret = f"{address.replace('//', '//me:pass@')}/sub/c.tif?key=secret"
    model = ("--model", tiny_model_path, "--allow-network")
    one = child("segment", f"{address}/a.tif", "--raster", tiles.parent / "one.tif", *model, "--json")
    assert one.returncode == 0, one.stderr
    assert json.loads(one.stdout)["scene"] == f"{address}/a.tif"
    bad = f"{address}/missing.tif?key=secret"
    many = child("batch", f"{address}/a.tif", secret, bad, "--out-dir", out, *RASTER, *model)
    assert many.returncode == 6, many.stderr
    assert "GET /a.tif" in log.read_text()
    assert "GET /sub/c.tif?key=secret" in log.read_text()
    local = classes(tiles.parent / "one.tif")
    assert (classes(out / "a.classes.tif") == local).all()
    told_of = {scene["name"]: scene for scene in report_of(out)["scenes"]}
    assert told_of["a"]["status"] == told_of["sub/c"]["status"] == "done"
    assert told_of["sub/c"]["source"] == f"{address}/sub/c.tif"
    assert told_of["missing"]["status"] == "failed"
    kept_texts = [p.read_bytes() for p in out.rglob("*") if p.is_file()] + [(many.stdout + many.stderr).encode()]
    assert not any(b"secret" in text or b"me:pass" in text for text in kept_texts)


def test_addresses_need_leave(batch):
    code, _, complaints = batch(*RASTER, scenes="https://example.org/a.tif?key=secret")
    assert code == 2
    assert complaints == (
        "geoseg: https://example.org/a.tif: is an address, not a local file; download it first, or add "
        "--allow-network\n"
    )
