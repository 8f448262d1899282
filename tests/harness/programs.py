"""Programs on disk, for tests that go through the whole compiler."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


def write(folder: Path, text: str, files: Mapping[str, str] | None = None, config: str | None = None) -> Path:
    """Write a program, the files beside it and its configuration into a folder; return the program's path.

    Without a configuration an empty one is written, so that none of a folder further up is found.
    """
    for name, content in (files or {}).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content, encoding="utf-8")
    (folder / "mas.toml").write_text(config or "", encoding="utf-8")
    path = folder / "program.mas"
    path.write_text(text, encoding="utf-8")
    return path
