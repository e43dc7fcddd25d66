"""The jobs, one short file each: read, transform, write."""
