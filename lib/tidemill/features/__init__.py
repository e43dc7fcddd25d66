"""Feature declarations, their computation, as-of joins, and Feast."""
