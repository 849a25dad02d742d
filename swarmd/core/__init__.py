"""Pure decisions: time, chance and ids arrive as arguments; no IO, clock, random or logger."""
