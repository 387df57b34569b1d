"""Inference: windows over the scene, the network on each of them, and one class for every pixel."""
