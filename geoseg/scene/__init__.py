"""Read georeferenced scenes, row by row, ready for the network."""
