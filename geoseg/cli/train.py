"""``geoseg train``: parse, call, tell."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from geoseg.cli.learn_options import check_network, chips_of, learn_options, material_of, recipe_of
from geoseg.cli.options import out_option, overwrite_option, talk_options

_TOLD = ("pixel_accuracy", "mean_iou")


@click.command("train")
@click.argument("dataset", type=click.Path(path_type=Path), required=False)
@out_option("The model file to write (.safetensors); the run keeps its checkpoints in FILE.run beside it.")
@click.option("--init", metavar="MODEL", help="Model to begin with: a file, 'default' or 'dubai'.")
@learn_options
@click.option(
    "--network",
    type=click.Choice(("unet", "fcn")),
    default="unet",
    show_default=True,
    help="Kind of network, without --init; fcn is a U-Net without its skip connections.",
)
@click.option(
    "--width",
    type=click.IntRange(4, 256),
    default=16,
    show_default=True,
    help="Channels of the finest level, without --init; each of the four coarser ones has twice as many.",
)
@click.option(
    "--widest",
    type=click.IntRange(4, 4096),
    default=4096,
    metavar="N",
    help="Most channels of a level, without --init: coarse levels hold most of the weights.",
)
@click.option(
    "--patch",
    type=click.Choice(("1", "2", "4")),
    default="1",
    show_default=True,
    help="Pixels a side that enter the finest level as one, without --init: 2 is faster, and coarser at edges.",
)
@click.option("--device", default="auto", show_default=True, metavar="auto|cpu|cuda[:N]", help="Where to compute.")
@click.option("--restart", is_flag=True, help="Discard an earlier, unfinished run.")
@overwrite_option
@talk_options
def command(
    dataset: Path | None,
    out: str,
    init: str | None,
    progress: str,
    **flags: Any,
) -> None:
    """Train or fine-tune a model on a folder of images with masks, or on scenes with labels.

    DATASET holds images/ beside masks/ or labels/ of the same names, or folders that do ('Tile N/images/*.jpg',
    'Tile N/masks/*.png'). Masks have the colours of the Dubai data set: building #3C1098, road #6EC1E4, water #E2A929,
    vegetation #FEDD3A, land #8429F6; black and #9B9B9B are unlabelled. Or they hold values, 1 to 5 in this order.
    --legend FILE names others.

    With --scene and --labels the classes are those of the labels; ground that they leave becomes a class 'background',
    which no layer is written of. Ground outside of the labels' extent is left out.

    A run that was stopped goes on where it was when the same command is given again.

    \b
    $ geoseg train dubai --out mine.safetensors --hold-out "Tile 2"
    $ geoseg train --scene a.tif --labels a.gpkg --init default --resolution 0.3 --steps 900 --out mine.safetensors
    $ geoseg train --scene tiles --labels houses.geojson --class-name building --out houses.safetensors
    """  # noqa: D301
    from geoseg.cli.memory import kept_memory
    from geoseg.cli.progress import message, progress_on
    from geoseg.learn.train import TrainRequest, train_model
    from geoseg.model.network import doubling

    kept_memory()
    check_network(init, flags)
    request = TrainRequest(
        material=material_of(dataset, flags),
        out=Path(out),
        init=init,
        kind=flags["network"],
        widths=doubling(flags["width"], flags["widest"]),
        patch=int(flags["patch"]),
        recipe=recipe_of(flags),
        chips=chips_of(flags),
        device=flags["device"],
        overwrite=flags["overwrite"],
        restart=flags["restart"],
    )
    with progress_on(progress, "train", "step") as meter:
        card = train_model(request, meter.at, lambda sentence: message(progress, sentence))
    for score in card.scores:
        accuracy, mean_iou = ("-" if score[name] is None else f"{score[name]:.3f}" for name in _TOLD)
        message(progress, f"{score['split']}: accuracy {accuracy}, mean IoU {mean_iou}", "result")
    click.echo(out)
