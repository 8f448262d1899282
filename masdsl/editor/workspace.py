"""The texts that are open in an editor, and the files around them: what is checked, and when it has to be again.

Everything is looked at through here, so that an import sees the text of an open file and not what is on the disk.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Final, NamedTuple

from masdsl import reading
from masdsl.config import CONFIG_NAME, Config, find_config, load_config
from masdsl.diagnostics.base import Finding, Findings
from masdsl.editor.document import Document, check_document
from masdsl.editor.facts import Facts
from masdsl.editor.positions import UTF16, Positions
from masdsl.source import Source

MOST_FILES: Final = 2_000
"""Programs of a workspace that are looked through for names; further ones are left out."""
_SKIPPED: Final = frozenset(("node_modules", "__pycache__", "build", "dist", "venv", "env"))


class Text(NamedTuple):
    """The text of an open file: as the editor has it, and where things stand in it."""

    raw: str
    positions: Positions
    source: Source


class _Settings(NamedTuple):
    stamp: tuple[object, ...]
    config: Config
    findings: tuple[Finding, ...]


class Workspace:
    """Open texts by the names of their sources: absolute paths, or such as `<untitled:1>` where there is no file.

    `roots` are the folders that the editor shows.
    """

    def __init__(self, roots: tuple[str, ...] = (), encoding: str = UTF16) -> None:
        self.roots = roots
        self.encoding = encoding
        self._texts: dict[str, Text] = {}
        self._documents: dict[str, Document] = {}
        self._depends: dict[str, frozenset[str]] = {}
        self._settings: dict[str, _Settings] = {}
        self._modules: dict[str, tuple[object, Source]] = {}

    # ------------------------------------------------------------ texts

    def open(self, name: str, raw: str) -> None:
        """Take the text of a file that is open, or has changed."""
        positions = Positions(raw, self.encoding)
        self._texts[name] = Text(raw, positions, Source(name, positions.text))
        self.changed(name)

    def close(self, name: str) -> None:
        """Forget an open text: from now on the file counts."""
        self._texts.pop(name, None)
        self.changed(name)

    def is_open(self, name: str) -> bool:
        """Say whether a text is open."""
        return name in self._texts

    def open_names(self) -> tuple[str, ...]:
        """Return the names of all open texts."""
        return tuple(self._texts)

    def changed(self, name: str) -> None:
        """Forget what was found out about a file, and about those that import it; or are configured by it."""
        self._documents.pop(name, None)
        if os.path.basename(name) in (CONFIG_NAME, "pyproject.toml", "mas.lock"):
            self.forget_all()
        for other in self.dependents(name):
            self._documents.pop(other, None)

    def forget_all(self) -> None:
        """Forget everything but the open texts: the configuration, or something else that all depends on, changed."""
        self._documents.clear()
        self._settings.clear()

    def dependents(self, name: str) -> tuple[str, ...]:
        """Return the names of the open texts that import a file, or tried to."""
        return tuple(other for other in self._texts if name in self._depends.get(other, ()) and other != name)

    def text(self, name: str) -> Text | None:
        """Return the text of a file, open or not; None where it cannot be read."""
        found = self._texts.get(name)
        if found is not None:
            return found
        source = self._from_disk(name)
        return None if source is None else Text(source.text, Positions(source.text, self.encoding), source)

    def _from_disk(self, name: str) -> Source | None:
        path = _path_of_library(name) or name
        try:
            state = os.stat(path)
        except (OSError, ValueError):
            return None
        stamp = (state.st_mtime_ns, state.st_size)
        known = self._modules.get(name)
        if known is not None and known[0] == stamp:
            return known[1]
        data = reading.read_bytes(path, Findings())
        if data is None:
            return None
        source = reading.decode(name, data, Findings())
        self._modules[name] = (stamp, source)
        return source

    # ------------------------------------------------------------ checking

    def document(self, name: str) -> Document | None:
        """Return a file, checked as it is now; None where it cannot be read."""
        known = self._documents.get(name)
        settings = self._settings_of(name)
        if known is not None and known.config is settings.config and self._is_current(known):
            return known
        text = self.text(name)
        if text is None:
            return None
        if len(self._documents) > MOST_FILES:
            self._documents.clear()
        document = self.checked(text.source, Findings())
        self._documents[name] = document
        return document

    def checked(
        self,
        source: Source,
        findings: Findings,
        overlay: dict[str, Source] | None = None,
        facts: Facts | None = None,
    ) -> Document:
        """Check a text that need not be that of the file of its name; `overlay` are texts of other files."""
        settings = self._settings_of(source.name)
        for finding in settings.findings:
            findings.add(*finding)
        wanted: set[str] = set()

        def read(importer: Source, path: tuple[str, ...], found: Findings) -> Source | str:
            beside = os.path.join(os.path.dirname(importer.name), *path) + ".mas"
            wanted.add(beside)
            module = reading.read_module(importer, path, found, library=settings.config.library)
            if isinstance(module, str):
                return module
            wanted.add(module.name)
            if overlay and module.name in overlay:
                return overlay[module.name]
            opened = self._texts.get(module.name)
            return module if opened is None else opened.source

        document = check_document(source, settings.config, read, findings, facts=facts)
        if overlay is None and facts is None:
            self._depends[source.name] = frozenset(wanted)
        return document

    def looked_at(self, source: Source, facts: Facts) -> Document:
        """Check another text of a file, with an eye on the place that `facts` asks about; nothing of it is kept."""
        return self.checked(source, Findings(), facts=facts)

    def _is_current(self, document: Document) -> bool:
        """Say whether the file and what it imports are still what was checked."""
        own = self.text(document.source.name)
        if own is None or own.source.text != document.source.text:
            return False
        for scope in document.facts.imported:
            text = self.text(scope.source.name)
            if text is None or text.source.text != scope.source.text:
                return False
        return True

    def _settings_of(self, name: str) -> _Settings:
        folder = os.path.dirname(name) if is_file(name) else (self.roots[0] if self.roots else os.getcwd())
        path = find_config(folder)
        stamp: tuple[object, ...] = (
            path,
            *_state(path),
            *_state(path and os.path.join(os.path.dirname(path), "mas.lock")),
        )
        known = self._settings.get(folder)
        if known is None or known.stamp != stamp:
            findings = Findings()
            config = load_config(folder, findings)
            known = self._settings[folder] = _Settings(stamp, config, findings.sorted())
        return known

    # ------------------------------------------------------------ files of the workspace

    def files(self) -> Iterator[str]:
        """Yield the names of the programs of the workspace: those that are open, then those on the disk."""
        yield from self._texts
        count = 0
        for root in self.roots:
            for folder, folders, names in os.walk(root):
                folders[:] = sorted(one for one in folders if not one.startswith(".") and one not in _SKIPPED)
                for name in sorted(names):
                    path = os.path.join(folder, name)
                    if name.endswith(".mas") and path not in self._texts:
                        count += 1
                        if count > MOST_FILES:
                            return
                        yield path

    def files_with(self, word: str, first: str) -> Iterator[Document]:
        """Yield the programs in whose text a word stands, checked; the file `first` before all others."""
        seen = set()
        for name in (first, *self.files()):
            if name in seen:
                continue
            seen.add(name)
            text = self.text(name)
            if text is None or word not in text.source.text:
                continue
            document = self.document(name)
            if document is not None:
                yield document


def is_file(name: str) -> bool:
    """Say whether the name of a source is that of a file."""
    return not name.startswith("<")


def _path_of_library(name: str) -> str | None:
    """Return the file of a module of the user's library, which goes by another name (`<library.debate>`)."""
    from masdsl.resources import library_directory

    folder = library_directory()
    if folder is None or not name.startswith("<library.") or not name.endswith(">"):
        return None
    return os.path.join(folder, f"{name[len('<library.') : -1]}.mas")


def _state(path: str | None) -> tuple[object, ...]:
    try:
        state = os.stat(path) if path else None
    except OSError:
        state = None
    return (None, None) if state is None else (state.st_mtime_ns, state.st_size)
