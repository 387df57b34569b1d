"""geoseg:batch: many images in, one result of each, or one map of all."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from qgis.core import (
    QgsProcessingException,
    QgsProcessingOutputFile,
    QgsProcessingOutputMultipleLayers,
    QgsProcessingOutputNumber,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterFile,
    QgsProcessingParameterFolderDestination,
    QgsProcessingParameterMultipleLayers,
)

from . import scene_flags, vector_flags
from .algorithm import GeosegAlgorithm
from .area import add_area, area_source, area_words
from .compat import A_FOLDER, RASTERS
from .flags import add, add_flags, choice, number, text, ticked, words_of
from .inputs import raster_file
from .results import Result, layers_of, load
from .runner import GeosegFailed

MAP = "map.gpkg"
"""Name of the one map of all images in the folder of results."""

_MOST_LOADED = 20  # more single results would fill the legend
_MADE = ("done", "kept")
_FORMATS = ("gpkg", "geojson", "fgb", "parquet", "none")
_FLAGS = (
    scene_flags.MODEL,
    scene_flags.CLASSES,
    vector_flags.REGULARIZE,
    vector_flags.CENTERLINES,
    ticked("RASTER", "Write class rasters, too", "--raster", "Write NAME.classes.tif beside each result."),
    ticked("CONFIDENCE", "Write confidences, too", "--confidence", "Write NAME.confidence.tif beside each result."),
    ticked(
        "OVERWRITE",
        "Replace files that this batch did not make",
        "--overwrite",
        "Replace existing files of the same names that were not made by a batch, or were changed since. Finished "
        "results of an earlier run that still hold are kept in any case.",
    ),
    text(
        "BANDS",
        "Bands",
        "--bands",
        "Numbers of the bands to use as red, green, blue, with commas between. Empty: by colour interpretation.",
    ),
    number(
        "JOBS",
        "Processes",
        "--jobs",
        "How many images are worked on at a time; graphics cards are given out among them.",
        lowest=1,
        highest=1024,
        default=1,
        whole=True,
    ),
    ticked(
        "RASTER_FINAL",
        "Write class rasters of the finished polygons, too",
        "--raster-final",
        "Write NAME.final.tif beside each result.",
        advanced=True,
    ),
    *scene_flags.DETAILS,
    *vector_flags.DETAILS,
)
_FORMAT = choice(
    "FORMAT",
    "Format of single results",
    "--to",
    _FORMATS,
    "Format of the layers of each image; one map of all is always a GeoPackage.",
)


class BatchAlgorithm(GeosegAlgorithm):
    """Segment many images, as single results or as one map."""

    VERB = "batch"
    TITLE = "Segment many images"
    TAGS = ("tiles", "mosaic", "folder", "buildings", "roads", "water", "deep learning", "aerial", "satellite")
    STOPPED = "Stopped; results that are finished stay, and the same run again goes on from there."
    SHARES = {"look": (0, 3), "segment": (3, 95), "join": (95, 99)}  # noqa: RUF012
    ABOUT = (
        "Segments many images: one result of each, or one map of all, in which no object is cut at the borders of "
        "tiles.\n\n"
        "An image that cannot be read does not end the run: the messages and the table report.csv name it. The same "
        "run again does what is missing or has changed.\n\n"
        "Cancelling keeps the results that are finished, and nothing half-written."
    )

    def initAlgorithm(self, config: Any = None) -> None:  # noqa: ARG002, N802
        """Declare parameters and outputs."""
        add(
            self,
            QgsProcessingParameterMultipleLayers("INPUT", "Images", RASTERS, None, optional=True),
            "Georeferenced images: raster layers of files.",
        )
        add(
            self,
            QgsProcessingParameterFile("FOLDER", "Folder of images", A_FOLDER, "", None, optional=True),
            "All images of this folder, and of the folders in it, beside those chosen above.",
        )
        add(
            self,
            QgsProcessingParameterBoolean("JOIN", "One map of all", False),
            f"Make one map of all images, {MAP}: tiles that continue one another are read across their borders.",
        )
        add_flags(self, _FLAGS[:2])
        add_area(self)
        add_flags(self, (*_FLAGS[2:], _FORMAT))
        add(
            self,
            QgsProcessingParameterBoolean("LOAD", "Add the layers to the project", True),
            f"Load the layers of the map, or of up to {_MOST_LOADED} single GeoPackages, when the run is done.",
        )
        add(
            self,
            QgsProcessingParameterFolderDestination("OUTPUT", "Folder of results"),
            "Where results and the report go; it is made where it is missing.",
        )
        self.addOutput(QgsProcessingOutputFile("MAP", "Map of all images"))
        self.addOutput(QgsProcessingOutputFile("REPORT", "Table of all images"))
        self.addOutput(QgsProcessingOutputMultipleLayers("LAYERS", "All layers"))
        self.addOutput(QgsProcessingOutputNumber("DONE", "Images that are done"))
        self.addOutput(QgsProcessingOutputNumber("FAILED", "Images that failed"))

    def prepareAlgorithm(self, parameters: dict[str, Any], context: Any, feedback: Any) -> bool:  # noqa: ARG002, N802
        """Read what belongs to layers, in the thread that they live in."""
        layers = self.parameterAsLayerList(parameters, "INPUT", context)
        self.scenes = [raster_file(layer, layer.name(), "Images") for layer in layers]
        folder = self.parameterAsFile(parameters, "FOLDER", context)
        self.scenes += [folder] if folder else []
        if not self.scenes:
            raise QgsProcessingException("Images: none were chosen; choose images, or a folder of images")
        self.area = area_source(self, parameters, context)
        return True

    def processAlgorithm(self, parameters: dict[str, Any], context: Any, feedback: Any) -> dict[str, Any]:  # noqa: N802
        """Run geoseg and name what it made."""
        out = Path(self.parameterAsString(parameters, "OUTPUT", context))
        try:
            out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise QgsProcessingException(
                f"Folder of results: {out} is no folder and cannot be made one ({error.strerror}); choose another"
            ) from None
        joined = self.parameterAsBool(parameters, "JOIN", context)
        words = words_of(_FLAGS, self, parameters, context)
        if joined:
            words.append(f"--mosaic={out / MAP}")
        else:
            words += [f"--out-dir={out}", *_FORMAT.write(self, parameters, context)]
        with tempfile.TemporaryDirectory(prefix="geoseg-") as folder:
            words += area_words(self.area, Path(folder), context, feedback)
            listed = Path(folder) / "scenes"  # a command line would be too short for very many
            listed.write_bytes("".join(f"{scene}\0" for scene in self.scenes).encode())
            report = self._report([f"--files-from={listed}", "--null", *words], feedback)
        if report is None:
            return {}
        results = _results(report)
        if self.parameterAsBool(parameters, "LOAD", context):
            _load(results, out, context, feedback)
        told = out / f"{MAP}.run" if joined else out
        made = {"MAP": report["maps"][0]["out"]} if joined and report["maps"] else {}
        return {
            "OUTPUT": str(out),
            **made,
            "REPORT": str(told / "report.csv"),
            "LAYERS": [result.source for layers in results for result in layers],
            "DONE": report["done"] + report["kept"],
            "FAILED": report["failed"],
        }

    def _report(self, words: list[str], feedback: Any) -> dict[str, Any] | None:
        """Run geoseg; a batch that came to its end with something done is no failure."""
        try:
            return self.run_to_any_end(words, [], feedback)
        except GeosegFailed as failed:
            report = failed.report
            if (
                report is None
                or not report["done"] + report["kept"]
                or any(m["status"] == "left" for m in report["maps"])
            ):
                raise QgsProcessingException(str(failed)) from None
            feedback.reportError(str(failed), False)
            return report


def _results(report: dict[str, Any]) -> list[list[Result]]:
    """Return the GeoPackage layers of every map, or of every image."""
    found = [
        layers_of(made["out"], [layer["name"] for layer in made["layers"]])
        for made in report["maps"]
        if made["status"] in _MADE
    ]
    for scene in report["scenes"]:
        for path in scene["outputs"] if not report["maps"] else ():
            if path.lower().endswith(".gpkg") and scene["status"] in _MADE:
                names = [layer["name"] for layer in scene["report"].get("layers", ())]
                found.append(layers_of(path, names, f"{Path(path).stem} "))
    return found


def _load(results: list[list[Result]], out: Path, context: Any, feedback: Any) -> None:
    if len(results) > _MOST_LOADED:
        feedback.pushInfo(
            f"{len(results)} results are in {out}; more than {_MOST_LOADED} are not added to the project."
        )
        return
    for layers in results:
        if layers:
            load(context, layers, Path(layers[0].source.rpartition("|layername=")[0]).stem, [])
