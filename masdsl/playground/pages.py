"""What the browser loads: the page, and the files beside it. The policy lets it load nothing else."""

from __future__ import annotations

import os
import secrets
from base64 import b64encode
from hashlib import sha256
from typing import Final

from starlette.responses import Response

from masdsl.graph.palette import STYLE as PICTURE_STYLE
from masdsl.playground.refusals import not_found

FOLDER: Final = os.path.join(os.path.dirname(os.path.abspath(__file__)), "page")
NONCE: Final = "{{ nonce }}"
"""What stands in `index.html` where the nonce of the policy goes."""
KINDS: Final = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}
POLICY: Final = "".join(
    (
        "default-src 'none'; script-src 'self'; style-src 'self' 'nonce-{nonce}' {picture}; ",
        "img-src 'self' data: blob:; connect-src 'self' {socket}; base-uri 'none'; form-action 'none'; ",
        "frame-ancestors 'none'; ",
        "require-trusted-types-for 'script'; trusted-types 'none'",
    )
)
REPORT: Final = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; "
REPORT_POLICY: Final = REPORT + "form-action 'none'; frame-ancestors 'none'"
"""The policy of a report, around the stricter one that it says itself: no script, no origin, nothing from anywhere."""


_PICTURE: Final = f"'sha256-{b64encode(sha256(PICTURE_STYLE.encode()).digest()).decode()}'"
"""The style that pictures bring."""


def index(authority: str) -> Response:
    """Return the page, with a nonce of its own for the styles that the editor makes."""
    nonce = secrets.token_urlsafe(16)
    with open(os.path.join(FOLDER, "index.html"), encoding="utf-8") as file:
        text = file.read().replace(NONCE, nonce)
    policy = POLICY.format(nonce=nonce, picture=_PICTURE, socket=f"ws://{authority}")
    return Response(text, headers={"Content-Security-Policy": policy}, media_type="text/html; charset=utf-8")


def report(text: str) -> Response:
    """Return the page about a run: in a sandbox, without scripts, as if it came from nowhere."""
    headers = {
        "Content-Security-Policy": REPORT_POLICY,
        "Cross-Origin-Opener-Policy": "unsafe-none",  # a page in a sandbox may not have another one
    }
    return Response(text, headers=headers, media_type="text/html; charset=utf-8")


def static(name: str) -> Response:
    """Return a file that lies beside the page: one of those that are there, whatever the name says. Raises Refusal."""
    kind = KINDS.get(os.path.splitext(name)[1])
    if kind is None or name not in os.listdir(FOLDER):
        raise not_found(f"the page has no file {name!r}"[:200])
    with open(os.path.join(FOLDER, name), "rb") as file:
        return Response(file.read(), media_type=kind)
