"""Scores for those who ask: an HTTP service over the online store, and bundles for handlers and devices."""
