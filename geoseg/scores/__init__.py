"""How well maps agree: confusion, borders, objects and confidences, and how maps of any kind are laid together."""
