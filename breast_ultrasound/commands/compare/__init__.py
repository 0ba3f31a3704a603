"""`compare`: two runs, image by image."""
