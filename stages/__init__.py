"""The stages of the pipeline, a module each, and the rooms that they are built from."""

import os

# TensorFlow tells of its build and of missing GPUs on every start; errors of the pipeline are not among it.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
