"""What a model is worth: figures from logits and labels, and the report that shows them."""
