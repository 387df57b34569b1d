"""From class rasters to polygons: sieve, trace, simplify, measure."""
