"""What people run beside the pipeline: `segment` and `compare`. The stages of the pipeline are in `stages`."""
