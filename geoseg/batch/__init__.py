"""Many scenes in one run: which they are, and where the result of each goes."""
