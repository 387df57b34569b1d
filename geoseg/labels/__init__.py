"""Labelled images: pictures with masks, scenes with polygons, made-up cities; what is learned from and what is not."""
