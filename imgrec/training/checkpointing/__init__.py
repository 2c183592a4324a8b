"""When and how a training is saved, and put back."""
