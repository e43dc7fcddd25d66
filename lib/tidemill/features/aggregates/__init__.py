"""Aggregates, one module each: a value `KIND` that a declaration reads, and its Spark form."""
