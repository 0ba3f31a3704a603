"""Draw synthetic breast ultrasound in the release layout, with the truth about every image.

Tissue layers, lesions, sweeps, near-duplicates and marks: a module each. It looks like BUSI from a distance and is no
substitute for it. Releases of real images are in the modules beside this folder.
"""

from breast_ultrasound.sources.phantom.drawing import write_phantom
from breast_ultrasound.sources.phantom.scanner import LINEAR, Scanner

__all__ = ["LINEAR", "Scanner", "write_phantom"]
