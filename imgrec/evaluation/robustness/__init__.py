"""How a model stands what images go through: corruptions, attacks, and things hidden, turned or moved."""
