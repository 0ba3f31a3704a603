"""Segment breast lesions in ultrasound: the library that the stages of the pipeline and the commands are built on."""

import os

# TensorFlow tells of its build and of missing GPUs on every start; errors of the pipeline are not among it.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# TensorFlow leaves its oneDNN kernels off on processors without AVX-512, where they train 1.6 times as fast.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
