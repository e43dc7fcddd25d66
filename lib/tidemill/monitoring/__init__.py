"""Drift, performance, retraining decisions."""
