import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from breast_ultrasound.pipeline.errors import UserError
from breast_ultrasound.sources.downloading import download

CONTENT = bytes(range(256)) * 4096


class Publisher(http.server.BaseHTTPRequestHandler):
    """Serves a whole file, one that ends early, and none."""

    def do_GET(self) -> None:
        self.server.requests.append(self.path)  # pyright: ignore[reportAttributeAccessIssue]
        if self.path == "/missing.zip":
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        self.wfile.write(CONTENT if self.path == "/whole.zip" else CONTENT[:1000])

    def log_message(self, format: str, *args: object) -> None:
        del format, args


@pytest.fixture
def publisher(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[http.server.ThreadingHTTPServer]:
    """A server on this machine, and a cache of its own for what is downloaded."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Publisher) as server:
        server.requests = []  # pyright: ignore[reportAttributeAccessIssue]
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def url(server: http.server.ThreadingHTTPServer, name: str) -> str:
    return f"http://127.0.0.1:{server.server_port}/{name}"


def test_a_file_is_downloaded_once(publisher: http.server.ThreadingHTTPServer) -> None:
    for _ in range(2):
        assert download(url(publisher, "whole.zip"), "kept.zip").read_bytes() == CONTENT
    assert publisher.requests == ["/whole.zip"]  # pyright: ignore[reportAttributeAccessIssue]


@pytest.mark.parametrize(
    ("name", "expected"),
    [("missing.zip", "could not be downloaded .HTTPError"), ("short.zip", "ended after 1000 of 1048576 bytes")],
)
def test_what_does_not_arrive_whole_is_refused_and_not_kept(
    publisher: http.server.ThreadingHTTPServer, name: str, expected: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=expected):
        download(url(publisher, name), name)
    assert not list((tmp_path / "cache").rglob("*.zip"))


def test_without_a_network_the_message_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(UserError, match=r"Check the network, or fetch it .* data\.archives"):
        download("http://127.0.0.1:9/none.zip", "none.zip")
