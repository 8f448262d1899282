"""A browser is opened by way of a file that only its owner can read.

The address has the token, and what stands on a command line is for everybody on the machine to see. So a browser is
given the name of a file in a folder of our own, and the file leads it to the page.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import threading
import webbrowser
from collections.abc import Callable, Iterator
from html import escape
from pathlib import Path

FILE = "open.html"


@contextlib.contextmanager
def opened(url: str, say: Callable[[str], None]) -> Iterator[str]:
    """Open the page at `url` in the user's browser; give the path of the file that leads there, which goes at the end.

    `say` tells that no browser could be opened.
    """
    folder = tempfile.mkdtemp(prefix="mas-playground-")  # 0700
    try:
        path = os.path.join(folder, FILE)
        target = escape(f"{url}enter", quote=True)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0), 0o600)
        with open(handle, "w", encoding="utf-8") as file:
            file.write(
                '<!DOCTYPE html><html lang="en"><meta charset="utf-8"><meta name="referrer" content="no-referrer">'
                f'<meta http-equiv="refresh" content="0; url={target}"><title>mas playground</title>\n'
            )

        def show() -> None:
            if not webbrowser.open(Path(path).as_uri()):
                say("no browser could be opened; open the address yourself")

        threading.Thread(target=show, daemon=True, name="browser").start()
        yield path
    finally:
        shutil.rmtree(folder, ignore_errors=True)
