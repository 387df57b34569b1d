"""``--qgis-project``: the results of a run, and what they were made of, as one map."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from geoseg.errors import UsageError
from geoseg.layers.centerlines import LAYER
from geoseg.layers.looks import OPACITY, LineLook, area_look
from geoseg.layers.qgis_project.content import Project, ProjectLayer
from geoseg.layers.qgis_project.write import check_project_name, check_written, write_project
from geoseg.layers.qml import (
    area_symbol,
    categories_renderer,
    gray_renderer,
    line_renderer,
    palette_renderer,
    rgb_renderer,
    single_renderer,
)
from geoseg.layers.target import same_file
from geoseg.layers.vector import driver_of
from geoseg.pipeline.roles import class_known
from geoseg.scene.georeference import bounds_of
from geoseg.scene.mosaic import Mosaic
from geoseg.scene.open import is_remote, remote_source
from geoseg.scene.open import shown as without_secrets
from geoseg.vocabulary import NODATA, Legend

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from geoseg.layers.publish import Publication
    from geoseg.model.card import ModelCard
    from geoseg.pipeline.request import OutputRequest, SegmentRequest
    from geoseg.scene.reader import Scene
    from geoseg.vocabulary import Grid, MapClass

_COLORS = ("red", "green", "blue")


def check_project(project: Path, others: Iterable[Path]) -> None:
    """Refuse a project that could not be written beside the other results; raises UsageError."""
    check_project_name(project)
    if any(same_file(project, other) for other in others):
        raise UsageError(f"{project}: is named for two results; give each its own file")


def publish_project(publication: Publication, path: Path, project: Project) -> None:
    """Write a project among the results of a run; raises OutputError."""
    # A link's target is what lies in a folder; QGIS follows the link before it looks for files.
    write_project(publication.add(path, check_written), project, path)


def segment_project(
    request: SegmentRequest, scene: Scene, card: ModelCard, chosen: Sequence[MapClass], grid: Grid
) -> Project:
    """Return the map of one run of ``segment``.

    Args:
        request: the run.
        scene: its scene, open.
        card: of its model.
        chosen: the classes that are written as layers.
        grid: of the part that was segmented.
    """
    output = request.output
    layers: list[ProjectLayer] = []
    if output.layers is not None:
        layers = vector_layers(
            output.layers, chosen, grid.crs, lines=request.vectors.centerlines, rfc7946=output.rfc7946
        )
    image = scene_layers(request, scene, card)
    rasters = raster_layers(output, card.legend, grid.crs, shown=not layers)
    return Project(Path(scene.name).stem, grid.crs, extent_of(grid), tuple(layers), (*rasters, *image))


def vector_layers(
    path: Path, chosen: Sequence[MapClass], crs: str, *, lines: bool, rfc7946: bool = False
) -> list[ProjectLayer]:
    """Return the layers of a vector file, in the order of the legend; centrelines lie on the roads.

    Args:
        path: the file.
        chosen: the classes in it.
        crs: of the map.
        lines: whether it has a layer of centrelines.
        rfc7946: whether coordinates are in longitude and latitude, whatever the map's CRS.
    """
    if driver_of(path) != "GPKG":
        if rfc7946:
            import pyproj

            crs = str(pyproj.CRS.from_epsg(4326).to_wkt())
        renderer = categories_renderer(chosen)
        return [ProjectLayer(path.stem, "polygons", str(path), crs, renderer, opacity=OPACITY)]
    road = class_known(Legend(tuple(chosen)), "road")
    found: list[ProjectLayer] = []
    look = LineLook()
    axes = ProjectLayer(LAYER, "lines", str(path), crs, line_renderer(look), LAYER, look.opacity)
    for entry in chosen:
        if lines and entry is road:
            found.append(axes)
        renderer = single_renderer(area_symbol(area_look(entry)))
        found.append(ProjectLayer(str(entry.layer), "polygons", str(path), crs, renderer, entry.layer, OPACITY))
    return [axes, *found] if lines and road is None else found


def raster_layers(output: OutputRequest, legend: Legend, crs: str, *, shown: bool) -> list[ProjectLayer]:
    """Return the rasters of a run, the first of which may be switched on."""
    rasters = [path for path in (output.raster_final, output.raster) if path is not None]
    found = [class_raster_layer(path, legend, crs, shown=shown and path is rasters[0]) for path in rasters]
    if output.confidence is not None:
        path = output.confidence
        only = shown and not found
        found.append(ProjectLayer(path.stem, "raster", str(path), crs, gray_renderer(0, 100), shown=only))
    return found


def class_raster_layer(path: Path, legend: Iterable[MapClass], crs: str, *, shown: bool) -> ProjectLayer:
    """Return a class raster in the colours of the map."""
    entries = [(entry.value, entry.style, 255, entry.name) for entry in legend]
    renderer = palette_renderer([(NODATA, "#000000", 0, "nodata"), *entries])
    return ProjectLayer(path.stem, "raster", str(path), crs, renderer, opacity=OPACITY, shown=shown)


def scene_layers(request: SegmentRequest, scene: Scene, card: ModelCard) -> list[ProjectLayer]:
    """Return the image of a run as the network saw it: its bands, its stretch. None of a mosaic of many files."""
    name = str(request.scene)
    if isinstance(request.scene, Mosaic) or without_secrets(name) != name:  # an address with a password stays unwritten
        return []
    if is_remote(name):
        name = remote_source(name)
    bands, stretch = scene.look.bands, scene.look.stretch
    if bands.palette is not None:
        table = enumerate(bands.palette.T.tolist())
        colors = [(value, f"#{red:02X}{green:02X}{blue:02X}", alpha, "") for value, (red, green, blue, alpha) in table]
        renderer = palette_renderer(colors, band=bands.indexes[0])
    else:
        places = _rgb_places(card.bands)
        first, second, third = (bands.indexes[place] for place in places)
        limits = tuple((stretch.low[place], stretch.high[place]) for place in places)
        if first == second == third:
            renderer = gray_renderer(*limits[0], band=first)
        else:
            renderer = rgb_renderer((first, second, third), limits, bands.alpha)
    return [ProjectLayer(Path(scene.name).stem, "raster", name, scene.native.crs, renderer)]


def extent_of(grid: Grid) -> tuple[float, float, float, float]:
    """Return left, bottom, right, top of a grid."""
    return bounds_of(grid.transform, grid.height, grid.width)


def _rgb_places(bands: Sequence[str]) -> tuple[int, int, int]:
    """Return which of a model's bands are seen as red, green and blue: those of that name, else the first."""
    if set(_COLORS) <= set(bands):
        first, second, third = (list(bands).index(color) for color in _COLORS)
        return first, second, third
    return (0, 1, 2) if len(bands) >= 3 else (0, 0, 0)
