"""The order of the jobs."""
