"""Serve a page to try the network on: `uv run page`, then open the address that it prints.

Drop scans on it, pictures, DICOM or clips; look at the contours, the class and the sizes, move the threshold, download
masks, COCO or findings. The page is for this machine alone (127.0.0.1): what is dropped stays in memory until the page
ends, and requests of other sites or under other names are refused. With --save masks are corrected on the page, and
what is accepted is kept as a case table. For research, no medical device.
"""

import argparse
import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path

import cv2
import uvicorn

from breast_ultrasound.commands.page.application import application
from breast_ultrasound.commands.page.case_folder import CaseFolder
from breast_ultrasound.commands.page.desk import Desk
from breast_ultrasound.commands.page.guard import ADDRESS
from breast_ultrasound.commands.page.holding import Limits
from breast_ultrasound.commands.segment.holding import held
from breast_ultrasound.inference.choice import choose
from breast_ultrasound.pipeline.errors import UserError, command, printable


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=8000, help="port on 127.0.0.1 (%(default)s); 0 takes a free one")
    parser.add_argument("--model", type=Path, help="exported network (by default the run's or the pretrained one)")
    parser.add_argument("--any-modality", action="store_true", help="begin with the box for other modalities ticked")
    parser.add_argument(
        "--save", metavar="FOLDER", type=Path, help="correct masks, and keep them in a case table there"
    )
    return parser.parse_args()


@command
def main() -> None:
    """Serve the page until it is interrupted."""
    arguments = parse()
    # The page reports what is wrong with a file, once.
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    with _opened(arguments.save) as cases:
        _serve(arguments, cases)


def _serve(arguments: argparse.Namespace, cases: CaseFolder | None) -> None:
    choice = choose(arguments.model)
    network = choice.file.open()
    print(choice.reason)
    try:
        listening = socket.create_server((ADDRESS, arguments.port))
    except OSError as error:
        raise UserError(f"port {arguments.port} on {ADDRESS}: {error.strerror}. Give another --port.") from error
    port = listening.getsockname()[1]
    app = application(Desk(network, Limits(), cases), port, arguments.any_modality)
    server = uvicorn.Server(
        uvicorn.Config(app, log_level="critical", server_header=False, timeout_graceful_shutdown=1, ws="none")
    )
    print(f"page: http://{ADDRESS}:{port} (Ctrl-C ends it)", flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        server.run([listening])


@contextlib.contextmanager
def _opened(folder: Path | None) -> Iterator[CaseFolder | None]:
    """Hold a folder for what is kept; None where nothing is to be kept."""
    if folder is None:
        yield None
        return
    with held(folder, "--save"):
        cases = CaseFolder(folder)
        print(printable(f"{folder}: holds what you accept or correct, cases so far: {cases.count}"))
        yield cases


if __name__ == "__main__":
    main()
