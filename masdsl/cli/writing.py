"""Writing files so that a crash or a full disk leaves the old text or the new one, never half of it."""

from __future__ import annotations

import os
import tempfile


def replace_text(path: str, text: str) -> None:
    """Write `text` as UTF-8 in place of the file at `path` (or as a new file there); its permissions stay.

    Links are followed: the file behind one changes, the link stays. Raises OSError.
    """
    target = os.path.realpath(path)
    handle, temporary = tempfile.mkstemp(prefix=".mas-", dir=os.path.dirname(target))
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(text.encode("utf-8"))
        os.chmod(temporary, _mode(target))
        os.replace(temporary, target)
    except BaseException:
        os.unlink(temporary)
        raise


def _mode(path: str) -> int:
    try:
        return os.stat(path).st_mode & 0o777
    except FileNotFoundError:
        mask = os.umask(0)
        os.umask(mask)
        return 0o666 & ~mask
