"""Splits, estimators, evaluation, registry, promotion, scoring."""
