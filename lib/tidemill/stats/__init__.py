"""Pure NumPy statistics."""
