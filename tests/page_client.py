"""A page that is served in this process for a test, and requests to it."""

import contextlib
import http.client
import json
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import uvicorn
from onnx_network import write_dark_network

from breast_ultrasound import open_network
from breast_ultrasound.commands.page.application import application
from breast_ultrasound.commands.page.case_folder import CaseFolder
from breast_ultrasound.commands.page.desk import Desk
from breast_ultrasound.commands.page.guard import ADDRESS
from breast_ultrasound.commands.page.holding import Limits


@dataclass(frozen=True)
class Served:
    """A page that keeps cases in a folder."""

    port: int
    folder: Path


@contextlib.contextmanager
def serve(model: Path, folder: Path) -> Iterator[Served]:
    """Serve a page, with a network that takes dark pixels for lesion, which keeps cases in a folder."""
    model.mkdir(exist_ok=True)
    folder.mkdir(exist_ok=True)
    write_dark_network(model / "dark.onnx")
    with serve_desk(Desk(open_network(model / "dark.onnx"), Limits(), CaseFolder(folder))) as port:
        yield Served(port, folder)


@contextlib.contextmanager
def serve_desk(desk: Desk) -> Iterator[int]:
    """Serve the page of a desk; yield its port."""
    listening = socket.create_server((ADDRESS, 0))
    port = listening.getsockname()[1]
    server = uvicorn.Server(uvicorn.Config(application(desk, port), log_level="critical", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run, args=([listening],))
    thread.start()
    yield port
    server.should_exit = True
    thread.join(10)


class Reply:
    """The page's reply to a request."""

    def __init__(self, port: int, method: str, path: str, body: bytes = b"", **headers: str) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        connection.request(method, path, body or None, headers)
        response = connection.getresponse()
        self.status, self.headers, self.body = response.status, response.headers, response.read()
        connection.close()


def get(port: int, path: str, **headers: str) -> Reply:
    return Reply(port, "GET", path, b"", **headers)


def put(port: int, path: str, body: bytes, **headers: str) -> Reply:
    return Reply(port, "PUT", path, body, **headers)


def drop(port: int, name: str, content: bytes) -> list[dict[str, Any]]:
    reply = Reply(port, "POST", f"/scans?name={quote(name)}", content)
    assert reply.status == 200, reply.body
    return [json.loads(line) for line in reply.body.splitlines()]
