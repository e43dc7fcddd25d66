"""Side-by-side measurements, one file each; `harness` is what they share."""
