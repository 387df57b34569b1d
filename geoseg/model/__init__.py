"""Model files: the network's shape, the card that says what it is for, and the weights."""
