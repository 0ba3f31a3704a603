"""The guard of the page, which lets in no request but the page's own."""

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

ADDRESS = "127.0.0.1"

# A browser may not store a response, guess its type, report it or embed it in another page.
_HEADERS = {
    "cache-control": "no-store",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}


class OnlyThisPage:
    """Middleware that refuses all requests but those of the page itself.

    It looks at Host, Origin and Sec-Fetch-Site. Host keeps out sites that point their own name at this machine (DNS
    rebinding).
    """

    def __init__(self, app: ASGIApp, port: int) -> None:
        self.app = app
        self.hosts = {f"{name}:{port}" for name in (ADDRESS, "localhost")}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_HEADERS)
            await send(message)

        if scope["type"] == "http" and not self._is_own(Headers(scope=scope)):
            refusal = Response("Refused: this page serves itself alone.\n", status_code=403)
            await refusal(scope, receive, with_headers)
        else:
            await self.app(scope, receive, with_headers)

    def _is_own(self, headers: Headers) -> bool:
        origin, site = headers.get("origin"), headers.get("sec-fetch-site", "none")
        return (
            headers.get("host") in self.hosts
            and (origin is None or origin.removeprefix("http://") in self.hosts)
            and site in ("none", "same-origin")
        )
