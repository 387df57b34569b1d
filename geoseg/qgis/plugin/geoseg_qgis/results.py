"""Result layers: their place in the legend, and how QGIS is asked to load them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from qgis.core import QgsProcessingContext, QgsProcessingLayerPostProcessorInterface

_FROM_THE_TOP = ("buildings", "road_centerlines", "roads", "water", "vegetation", "land")
_FINISHES: list[Any] = []  # Python's side of objects that QGIS owns


@dataclass(frozen=True)
class Result:
    """One layer to load."""

    source: str
    """What QGIS opens."""
    name: str
    output: str = ""
    """The output of the algorithm that it is."""


def layers_of(path: str, names: list[str], prefix: str = "") -> list[Result]:
    """Return the layers of a GeoPackage, from the top of the legend to its bottom.

    Buildings lie on all else, lines on their roads, as in geoseg's projects; classes of other models keep the order of
    the file.
    """
    known = {name: place for place, name in enumerate(_FROM_THE_TOP)}
    ordered = sorted(names, key=lambda name: known.get(name, len(known)))
    return [Result(f"{path}|layername={name}", prefix + name, output_name(name)) for name in ordered]


def output_name(layer: str) -> str:
    """Return the name of the output that a layer is."""
    return layer.upper().replace(" ", "_").replace("-", "_")


def load(context: Any, results: list[Result], group: str, below: list[str]) -> None:
    """Ask QGIS to add layers to the project, with the styles in their files.

    Args:
        context: of the run; nothing happens where it has no project, as under qgis_process.
        results: from the top of the legend to its bottom.
        group: name of their group, where QGIS groups results.
        below: rasters of the run that lie under all of them, already announced by QGIS itself.
    """
    project = context.project()
    if project is None:
        return
    for result in results:
        details = QgsProcessingContext.LayerDetails(result.name, project, result.output)
        details.forceName = True
        context.addLayerToLoadOnCompletion(result.source, details)
    order = [result.source for result in results] + [path for path in below if context.willLoadLayerOnCompletion(path)]
    for place, source in enumerate(order):
        details = context.layerToLoadOnCompletionDetails(source)
        by_itself = hasattr(details, "groupName") and hasattr(details, "layerSortKey")  # QGIS 3.32 and newer
        if by_itself:
            details.groupName, details.layerSortKey = group, len(order) - place
        finish = _Finish([] if by_itself else order, shown=place < len(results))
        _FINISHES.append(finish)
        details.setPostProcessor(finish)


class _Finish(QgsProcessingLayerPostProcessorInterface):
    """Gives a layer the style in its file, which Processing leaves out, and its place among those of its run.

    The layers come one by one, by the alphabet. Rasters below them come switched off, since they hide the image.
    """

    def __init__(self, order: list[str], *, shown: bool) -> None:
        super().__init__()
        self.order, self.shown = order, shown

    def postProcessLayer(self, layer: Any, context: Any, feedback: Any) -> None:  # noqa: ARG002, N802
        """Do both; QGIS calls it once the layer is in the project."""
        layer.loadDefaultStyle()
        layer.triggerRepaint()
        root = layer.project().layerTreeRoot() if layer.project() is not None else None
        added = root.findLayer(layer.id()) if root is not None else None
        if added is None:
            return
        added.setItemVisibilityChecked(self.shown)
        if not self.order:
            return
        parent = added.parent()
        mine = [node for node in parent.children() if self._place(node) is not None]
        first = min(parent.children().index(node) for node in mine)
        for node in sorted(mine, key=self._place, reverse=True):  # type: ignore[arg-type,unused-ignore]
            parent.insertChildNode(first, node.clone())
            parent.removeChildNode(node)

    def _place(self, node: Any) -> int | None:
        layer = node.layer() if hasattr(node, "layer") else None
        return self.order.index(layer.source()) if layer is not None and layer.source() in self.order else None
