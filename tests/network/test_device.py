import platform
import subprocess
import sys

import keras
import pytest

# Prints how many pages a second round over blocks of 64 MB takes from the kernel that a first one has freed.
ROUNDS = """
import resource, sys
import numpy as np

def taken():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        np.ones(2**23)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

if sys.argv[1] == "kept":
    from breast_ultrasound.network.device import keep_freed_memory
    keep_freed_memory()
taken()
print(taken())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library has no such setting")
def test_memory_that_was_freed_is_used_again() -> None:
    def pages(memory: str) -> int:
        run = subprocess.run([sys.executable, "-c", ROUNDS, memory], capture_output=True, text=True, check=True)
        return int(run.stdout)

    assert pages("given back") > 100
    assert pages("kept") < 10


# Prints whether a convolution and its normalisation have the same bits in a graph, which TensorFlow rewrites, as one by
# one. It merges them by an instruction that gives an approximation, another one on each maker's processors.
NORMALISED = """
import keras
import numpy as np
from breast_ultrasound.network.device import Hardware, configure
from breast_ultrasound.network.layers import convolution

configure(Hardware(device="cpu", precision="float32", arithmetic="portable"), seed=0)
random = np.random.default_rng(0)
image = keras.Input((32, 32, 8))
network = keras.Model(image, convolution(image, 16, 3))
network.layers[2].moving_variance.assign(random.uniform(0.5, 2, 16))
images = random.normal(0, 1, (4, 32, 32, 8)).astype("float32")
print(np.array_equal(network.predict_on_batch(images), network(images, training=False)))
"""


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="portable arithmetic is promised of TensorFlow")
def test_portable_arithmetic_normalises_without_an_approximation() -> None:
    run = subprocess.run([sys.executable, "-c", NORMALISED], capture_output=True, text=True, check=True)
    assert run.stdout.splitlines()[-1] == "True"
