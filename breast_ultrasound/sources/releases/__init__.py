"""Public releases, a module each: its archive, as published, its licence, and how its images and masks are read.

To add one, write a module like bus_bra.py and its manifest (`manifest.write_manifest`), and add it to RELEASES.
"""

from breast_ultrasound.sources.releases.bus_bra import BUS_BRA
from breast_ultrasound.sources.releases.bus_uclm import BUS_UCLM
from breast_ultrasound.sources.releases.busi import BUSI
from breast_ultrasound.sources.releases.release import Release, copy_from_archive

RELEASES = {release.name: release for release in (BUSI, BUS_BRA, BUS_UCLM)}

__all__ = ["RELEASES", "Release", "copy_from_archive"]
