"""Files that ship, what is inside them, and whether they answer as the model they came from."""
