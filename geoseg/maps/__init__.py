"""Class maps of any kind and CRS, rasters or polygons, brought onto one grid."""
