"""The QGIS plugin: kept as a folder of files, put into QGIS's profiles, or packed for its plugin manager."""
