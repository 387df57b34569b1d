"""Learning: labelled images in, a model file out."""
