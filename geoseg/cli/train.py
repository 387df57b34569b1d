"""``geoseg train``: parse, call, tell."""

from __future__ import annotations

from pathlib import Path

import click

from geoseg.cli.options import FiniteRange, out_option, overwrite_option, talk_options


@click.command("train")
@click.argument("dataset", type=click.Path(path_type=Path))
@out_option("The model file to write (.safetensors); the run keeps its checkpoints in FILE.run beside it.")
@click.option("--init", metavar="MODEL", help="Model to begin with: a file, or 'default' for the bundled one.")
@click.option(
    "--resolution",
    type=FiniteRange(0, min_open=True),
    metavar="METRES",
    help="Ground pixel of the images.  [default: that of --init, else 1]",
)
@click.option(
    "--hold-out",
    metavar="NAME",
    multiple=True,
    help="Tile, or image such as 'Tile 1/image_part_003', to score on and never train on; repeat for more.",
)
@click.option(
    "--demo-scenes",
    type=click.IntRange(0, 10_000),
    default=0,
    show_default=True,
    help="Made-up scenes to mix in.",
)
@click.option(
    "--demo-share",
    type=FiniteRange(0, 1),
    default=0.25,
    show_default=True,
    help="Share of chips cut from made-up scenes, where there are any.",
)
@click.option("--steps", type=click.IntRange(1), default=4000, show_default=True, help="Batches to learn from.")
@click.option("--batch", type=click.IntRange(1, 1024), default=8, show_default=True, help="Chips in a batch.")
@click.option("--chip", type=click.IntRange(32, 2048), default=256, show_default=True, help="Size of a chip in pixels.")
@click.option(
    "--learning-rate",
    type=FiniteRange(0, 1, min_open=True),
    default=2e-3,
    show_default=True,
    help="Peak learning rate.",
)
@click.option(
    "--width",
    type=click.IntRange(4, 256),
    default=16,
    show_default=True,
    help="Channels of the finest level.",
)
@click.option(
    "--color-jitter",
    type=FiniteRange(0, 2),
    default=1.0,
    show_default=True,
    help="Strength of the changes of light, colour, haze and noise in training; 0 leaves the pixels as they are.",
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed of weights and chips.")
@click.option("--restart", is_flag=True, help="Discard an unfinished run instead of going on with it.")
@overwrite_option
@talk_options
def command(
    dataset: Path,
    out: str,
    init: str | None,
    hold_out: tuple[str, ...],
    progress: str,
    **settings: float | bool,
) -> None:
    """Train the U-Net on DATASET, or fine-tune a model on it.

    DATASET is a folder in the Dubai layout: 'Tile N/images/NAME.jpg' (or .png, .tif) beside 'Tile N/masks/NAME.png',
    painted building #3C1098, road #6EC1E4, water #E2A929, vegetation #FEDD3A, land #8429F6; black and #9B9B9B are
    unlabelled. A run that was stopped goes on where it was when the same command is given again.

    \b
    $ geoseg train dubai --out mine.safetensors --hold-out "Tile 2"
    $ geoseg train mine --init default --steps 500 --learning-rate 5e-4 --out mine.safetensors
    """  # noqa: D301
    from geoseg.cli.progress import message, progress_on
    from geoseg.learn.chips import ChipPlan
    from geoseg.learn.fit import FitRequest, fit
    from geoseg.learn.train import Recipe

    width = int(settings["width"])
    request = FitRequest(
        dataset=dataset,
        out=Path(out),
        init=init,
        resolution_m=settings["resolution"] if settings["resolution"] is None else float(settings["resolution"]),
        hold_out=hold_out,
        demo_scenes=int(settings["demo_scenes"]),
        widths=tuple(width * 2**level for level in range(5)),
        recipe=Recipe(
            steps=int(settings["steps"]),
            learning_rate=float(settings["learning_rate"]),
            demo_share=float(settings["demo_share"]),
        ),
        chips=ChipPlan(
            size=int(settings["chip"]),
            batch=int(settings["batch"]),
            seed=int(settings["seed"]),
            color=float(settings["color_jitter"]),
        ),
        overwrite=bool(settings["overwrite"]),
        restart=bool(settings["restart"]),
    )
    with progress_on(progress, "train", "step") as meter:
        card = fit(request, tell=meter.at)
    for score in card.scores:
        scored = f"accuracy {score['pixel_accuracy']:.3f}, mean IoU {score['mean_iou']:.3f}"
        message(progress, f"{score['split']}: {scored}", "result")
    click.echo(out)
