"""QGIS projects: the layers of a run, with their image, in one file that opens as a map."""
