"""Flags of ``geoseg train`` on what to learn from and how, and the nouns that they make."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from geoseg.cli.labelled_scenes import OF_READING, labels_option, pairs_of, reading_of, reading_options
from geoseg.cli.options import FiniteRange, was_said

if TYPE_CHECKING:
    from collections.abc import Callable

    from geoseg.labels.material import Material
    from geoseg.learn.chips import ChipPlan
    from geoseg.learn.lesson import Recipe

_PATH = click.Path(path_type=Path)

_MATERIAL = (
    click.option(
        "--scene", "scenes", type=_PATH, multiple=True, help="Georeferenced image, or a folder of them; repeat."
    ),
    labels_option,
    click.option(
        "--class-field", metavar="NAME", default="class", show_default=True, help="Field of the polygons' classes."
    ),
    click.option("--class-name", metavar="NAME", help="Class of all polygons, whatever their fields and layers say."),
    click.option(
        "--elsewhere",
        type=click.Choice(("background", "unknown")),
        help="What ground without a label is: a class of its own, or any class of the model but those of the labels."
        "  [default: background; unknown beside a DATASET]",
    ),
    reading_options,
    click.option(
        "--legend",
        type=_PATH,
        help="Names of the dataset's masks: lines of value,name[,#RRGGBB], or JSON, such as 0,background.",
    ),
    click.option(
        "--resolution",
        type=FiniteRange(0, min_open=True),
        metavar="METRES",
        help="Ground pixel to learn at; scenes are resampled.  [default: that of DATASET's images, else of --init, "
        "else of the scenes, else 1]",
    ),
    click.option(
        "--hold-out",
        metavar="NAME",
        multiple=True,
        help="Tile, or image such as 'Tile 1/image_part_003', to score on and never train on; repeat for more.",
    ),
    click.option(
        "--split",
        "how",
        type=click.Choice(("auto", "patch", "none")),
        default="auto",
        show_default=True,
        help="What is held out where nothing is named: whole scenes or tiles, else one end of the only scene; random "
        "patches (a leaky score, and the output says so); or nothing.",
    ),
    click.option(
        "--demo-scenes",
        type=click.IntRange(0, 10_000),
        default=0,
        show_default=True,
        help="Made-up scenes of all climates to mix in.",
    ),
)

_RECIPE = (
    click.option("--steps", type=click.IntRange(1), default=4000, show_default=True, help="Batches to learn from."),
    click.option("--batch", type=click.IntRange(1, 1024), default=8, show_default=True, help="Chips in a batch."),
    click.option(
        "--chip", type=click.IntRange(32, 2048), default=256, show_default=True, help="Size of a chip in pixels."
    ),
    click.option(
        "--learning-rate", type=FiniteRange(0, 1, min_open=True), default=2e-3, show_default=True, help="At its peak."
    ),
    click.option(
        "--loss",
        default="ce+iou",
        show_default=True,
        metavar="ce|focal|iou|A+B",
        help="Weighted cross-entropy, focal loss, soft IoU, or a sum.",
    ),
    click.option(
        "--gamma", type=FiniteRange(0, 10), default=2.0, show_default=True, help="Exponent of the focal loss."
    ),
    click.option(
        "--edge-tolerance",
        type=click.IntRange(0, 8),
        default=0,
        show_default=True,
        metavar="PIXELS",
        help="How far from a border between classes a pixel may be of either: for labels drawn by hand.",
    ),
    click.option(
        "--balance",
        type=FiniteRange(0, 1),
        default=0.0,
        show_default=True,
        help="Share of chips drawn by class, each as often as any other.",
    ),
    click.option(
        "--demo-share",
        type=FiniteRange(0, 1),
        default=0.25,
        show_default=True,
        help="Share of chips cut from made-up scenes, where there are any.",
    ),
    click.option(
        "--zoom",
        type=FiniteRange(0, 1.5),
        default=0.3,
        show_default=True,
        help="Half of the chips are resampled by a factor between exp(-zoom) and exp(zoom).",
    ),
    click.option(
        "--turn", type=FiniteRange(0, 1), default=0.0, show_default=True, help="Share of chips turned by any angle."
    ),
    click.option(
        "--color-jitter", type=FiniteRange(0, 3), default=1.0, show_default=True, help="Strength of changes of colour."
    ),
    click.option(
        "--check-every", type=click.IntRange(1), default=300, show_default=True, help="Steps between two scorings."
    ),
    click.option("--seed", type=click.IntRange(0, 2**31 - 1), default=0, show_default=True, help="Of all chance."),
)


def learn_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the flags to a command."""
    for option in reversed((*_MATERIAL, *_RECIPE)):
        command = option(command)
    return command


_OF_SCENES = ("class_field", "class_name", "elsewhere", *OF_READING)
_OF_NETWORKS = ("network", "width", "widest", "patch")


def check_network(init: str | None, flags: dict[str, Any]) -> None:
    """Refuse flags of a new network that would do nothing, or not what they say; raises UsageError."""
    from geoseg.errors import UsageError

    if init is not None and (said := [name for name in _OF_NETWORKS if was_said(name)]):
        raise UsageError(f"--{said[0]}: the network is that of --init; leave one of the two away")
    if flags["widest"] < flags["width"]:
        raise UsageError(f"--widest {flags['widest']}: is less than --width {flags['width']}, the finest level's")


def material_of(dataset: Path | None, flags: dict[str, Any]) -> Material:
    """Return what to learn from; raises UsageError."""
    from geoseg.errors import UsageError
    from geoseg.labels.material import Material
    from geoseg.labels.scene_labels import ClassField

    scenes = pairs_of(flags)
    if not scenes and (said := [name for name in _OF_SCENES if was_said(name)]):
        raise UsageError(f"--{said[0].replace('_', '-')}: is about scenes, and there is no --scene")
    return Material(
        dataset=dataset,
        scenes=scenes,
        class_field=ClassField(flags["class_field"], flags["class_name"]),
        scene_options=reading_of(flags),
        elsewhere=flags["elsewhere"],
        legend_file=flags["legend"],
        resolution_m=flags["resolution"],
        demo_scenes=flags["demo_scenes"],
        hold_out=flags["hold_out"],
        how=flags["how"],
        seed=flags["seed"],
    )


def recipe_of(flags: dict[str, Any]) -> Recipe:
    """Return how to learn; raises UsageError for flags that would do nothing."""
    from geoseg.errors import UsageError
    from geoseg.labels.labelled import DEMO
    from geoseg.learn.lesson import Recipe

    if was_said("demo_share") and not flags["demo_scenes"]:
        raise UsageError("--demo-share: is about made-up scenes, and there are none; say how many with --demo-scenes")
    if was_said("gamma") and "focal" not in flags["loss"]:
        raise UsageError(f"--gamma: is about the focal loss, and the loss is {flags['loss']}; say --loss focal")
    return Recipe(
        steps=flags["steps"],
        learning_rate=flags["learning_rate"],
        loss=flags["loss"],
        gamma=flags["gamma"],
        edge_tolerance=flags["edge_tolerance"],
        balance=flags["balance"],
        check_every=flags["check_every"],
        shares={DEMO: flags["demo_share"]},
    )


def chips_of(flags: dict[str, Any]) -> ChipPlan:
    """Return how chips are cut."""
    from geoseg.learn.chips import ChipPlan

    return ChipPlan(
        size=flags["chip"],
        batch=flags["batch"],
        seed=flags["seed"],
        zoom=flags["zoom"],
        turn=flags["turn"],
        color=flags["color_jitter"],
    )
