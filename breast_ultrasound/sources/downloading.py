"""Download a release from its publisher, once."""

import http.client
import os
import shutil
import urllib.request
from pathlib import Path

from tqdm import tqdm

from breast_ultrasound.pipeline.errors import UserError
from breast_ultrasound.pipeline.files import atomic_write

# Some servers refuse Python's own.
_HEADERS = {"User-Agent": "breast-ultrasound-segmentation"}


def download(url: str, name: str) -> Path:
    """Return the file at `url`, downloaded to the user's cache as `name` unless it is there.

    UserError where it can't be fetched whole.
    """
    target = _cache() / name
    if not target.exists():
        with atomic_write(target) as aside:
            _fetch(url, aside)
    return target


def _fetch(url: str, target: Path) -> None:
    try:
        request = urllib.request.Request(url, headers=_HEADERS)
        with urllib.request.urlopen(request, timeout=60) as response:
            size = int(response.headers.get("Content-Length", 0))
            with (
                target.open("wb") as file,
                tqdm.wrapattr(response, "read", total=size, desc="download", disable=None) as body,
            ):
                shutil.copyfileobj(body, file)
    except (OSError, http.client.HTTPException) as error:
        raise UserError(
            f"{url} could not be downloaded ({type(error).__name__}). Check the network, or fetch it some other way "
            "and name the file in data.archives."
        ) from error
    if size and target.stat().st_size != size:
        raise UserError(f"{url}: the connection ended after {target.stat().st_size} of {size} bytes. Run it again.")


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "breast-ultrasound"
