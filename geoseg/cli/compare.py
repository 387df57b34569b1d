"""``geoseg compare``: parse, call, print."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from geoseg.cli.options import json_option, out_option, overwrite_option, talk_options

if TYPE_CHECKING:
    from geoseg.learn.compare import Comparison


@click.command("compare")
@click.argument("dataset", type=click.Path(path_type=Path))
@out_option("Folder for the runs, compare.json and index.html; runs that were begun there go on.")
@click.option("--epochs", type=click.IntRange(1), default=100, show_default=True, help="Epochs of each of the runs.")
@click.option(
    "--width", type=click.IntRange(4, 256), default=16, show_default=True, help="Channels of the finest level."
)
@click.option("--patches", type=click.IntRange(1), default=500, show_default=True, help="Patches an epoch.")
@click.option(
    "--losses", default="ce,focal,iou", show_default=True, metavar="LIST", help="Losses, by comma; sums as in ce+iou."
)
@click.option(
    "--hold-out", metavar="NAME", multiple=True, help="Image or tile to score on; repeat.  [default: seven by the seed]"
)
@click.option("--seed", type=click.IntRange(0, 2**31 - 1), default=0, show_default=True, help="Of all chance.")
@click.option("--device", default="auto", show_default=True, metavar="auto|cpu|cuda[:N]", help="Where to compute.")
@overwrite_option
@json_option
@talk_options
def command(dataset: Path, out: str, as_json: bool, progress: str, **flags: Any) -> None:
    """Compare U-Net with a plain CNN under three losses, by the protocol of the 2022 paper on Dubai.

    DATASET is in the Dubai layout (see geoseg train --help). Six networks learn from patches of 128 x 128 pixels; the
    paper's tables are printed with ours beside them. Two processor cores take hours for all of it: shorten it with
    --epochs or --width, and the output says so. Give the same command again after a stop; --overwrite begins anew.

    \b
    $ geoseg compare dubai --out comparison
    $ geoseg compare dubai --out quick --epochs 5 --width 8
    """  # noqa: D301
    from geoseg.cli.memory import kept_memory
    from geoseg.cli.progress import progress_on
    from geoseg.learn.compare import CompareRequest, compare
    from geoseg.learn.compare_page import to_html, to_text
    from geoseg.learn.journal import write_whole
    from geoseg.learn.paper import Protocol

    kept_memory()
    protocol = Protocol(flags["epochs"], flags["width"], flags["patches"], seed=flags["seed"])
    losses = tuple(name.strip() for name in flags["losses"].split(","))
    request = CompareRequest(
        dataset, Path(out), protocol, flags["hold_out"], losses, flags["device"], flags["overwrite"]
    )

    def keep(so_far: Comparison) -> None:
        write_whole(
            request.out / "compare.json",
            json.dumps(so_far.to_json(), ensure_ascii=False, allow_nan=False, indent=1).encode(),
        )
        write_whole(request.out / "index.html", to_html(so_far).encode())

    with progress_on(progress, "compare", "step") as meter:
        comparison = compare(request, meter.at, keep)
    click.echo(
        json.dumps(comparison.to_json(), ensure_ascii=False, allow_nan=False) if as_json else to_text(comparison)
    )
