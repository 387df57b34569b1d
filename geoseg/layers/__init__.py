"""From polygons and class rows to files: rasters, vector layers, styles, and their publication."""
