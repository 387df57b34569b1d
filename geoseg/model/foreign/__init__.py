"""Models that somebody else made: what their files say, turned into a card and weights; nothing in them is executed."""
