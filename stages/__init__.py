"""The stages of the pipeline, in the order of dvc.yaml, and the commands beside it."""

import os

# TensorFlow tells of its build and of missing GPUs on every start; errors of the pipeline are not among it.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
