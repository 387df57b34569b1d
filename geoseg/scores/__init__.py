"""How well maps agree: confusion, borders, objects and confidences."""
