"""Learning: labelled images in, a model file out, and the scores that say how good it is."""
