"""The ground: errors, time, configuration, leases, run records. Imports nothing above it."""
