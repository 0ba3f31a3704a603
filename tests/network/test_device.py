import platform
import subprocess
import sys

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
