"""Bytes in, answers out: the trained model or its exported files behind one call."""
