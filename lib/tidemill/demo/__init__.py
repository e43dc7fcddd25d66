"""The seeded demo world."""
