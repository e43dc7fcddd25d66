"""What workers need to fill an online store in Feast's byte formats, without importing Feast."""
