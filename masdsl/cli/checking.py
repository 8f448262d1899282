"""Checking one program of many, and keeping what came of it: the `Work` of `mas check` and `mas cost`.

A result is kept under a key of everything that is known before a check: the program, its configuration, masdsl itself
(`cache_key`). What the program imports comes out only then, so a kept result lists its modules with digests, and counts
while they still have them. Results of several states of the modules are kept side by side.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Final, Generic, NamedTuple, TypeVar

from masdsl.cache import Store, open_store
from masdsl.cache_key import digest, file_digest, key_of, package_state
from masdsl.cli.boundary import guarded
from masdsl.cli.files import STDIN, read_stdin
from masdsl.cli.trees import Outcome
from masdsl.config import Config, find_config, load_config
from masdsl.diagnostics.base import Finding, Findings, Suppressed
from masdsl.pipeline import Checked, check_bytes, check_source
from masdsl.source import Source

if TYPE_CHECKING:
    from masdsl.check.modules import ModuleReader

T = TypeVar("T")

VARIANTS: Final = 4
"""Results that are kept of one program for different states of what it imports."""
NOT_KEPT: Final = frozenset({"MAS000", "MAS004", "MAS007", "MAS008"})
"""Codes of findings that are about this moment: faults of masdsl, files that cannot be read, a lack of memory."""
_AT_HAND: Final = 64
"""Modules, and folders, that are remembered while a tree is worked on."""


class _Module(NamedTuple):
    """What reading a module gave: its source or the reason why there is none, the findings on the way, the digest."""

    outcome: Source | str
    findings: tuple[Finding, ...]
    digest: str


class _Settings(NamedTuple):
    """The configuration of a folder, and the findings in it. Without a digest no result may be kept under it."""

    config: Config
    findings: tuple[Finding, ...]
    digest: str


class ProgramCheck(Generic[T]):
    """Checks programs. A `Work`; see `trees`.

    `row` makes what a command needs to know of a checked program beside its findings, as a JSON value: `None` for a
    program of which there is nothing to say. It is kept with the findings. `configure` changes the configuration for
    this command. Both are functions of a module, `partial` ones of such, or values that can be called and whose `repr`
    says all that is in them: other processes have to find them, and results are kept apart by them. `options` says
    whatever else the check depends on. With `cached` false nothing is kept, and nothing that was kept is used.
    """

    weight = 1

    def __init__(
        self,
        row: Callable[[Checked], T] | None = None,
        *,
        configure: Callable[[Config], Config] | None = None,
        options: Sequence[str] = (),
        cached: bool = True,
    ) -> None:
        self._row = row
        self._configure = configure
        self._options = tuple(options)
        self._cached = cached
        self._digests: dict[str, tuple[str | None, str]] = {}
        self._settings: dict[tuple[str | None, str], _Settings] = {}
        self._modules: dict[tuple[str, tuple[str, ...], str | None], _Module] = {}

    def __reduce__(self) -> tuple[Any, ...]:
        return _made_again, (type(self), self._row, self._configure, self._options, self._cached)

    @cached_property
    def _store(self) -> Store | None:
        return open_store() if self._cached else None

    def known(self, path: str) -> Outcome[T] | None:
        """Return what an earlier check of the same program found; None where there was none."""
        if self._store is None or path == STDIN:
            return None
        from masdsl.reading import read_bytes

        data = read_bytes(path, Findings())
        if data is None:
            return None
        variants = self._store.read(self._key(path, data, self._surroundings(path)[1]))
        for variant in variants if isinstance(variants, list) else ():
            try:
                outcome = self._recall(path, data, variant)
            except (TypeError, ValueError, LookupError):  # not what `_kept` writes: checked again, and replaced
                return None
            if outcome is not None:
                return outcome
        return None

    def done(self, path: str) -> Outcome[T]:
        """Check the program at `path`, or on standard input for `-`."""
        findings = Findings()
        value = guarded(path, findings, self._done, path, findings)
        return Outcome(path, findings.sorted(), tuple(findings.suppressed), value)

    def _done(self, path: str, findings: Findings) -> T | None:
        if path == STDIN:
            settings = self._settings_of(self._surroundings(""))
            _report(settings.findings, findings)
            source = read_stdin(findings)
            program = check_source(source, settings.config, findings)
            return self._row(Checked(source, program, settings.config)) if self._row else None
        from masdsl.reading import read_bytes

        surroundings = self._surroundings(path)
        settings = self._settings_of(surroundings)
        _report(settings.findings, findings)
        data = read_bytes(path, findings)
        if data is None:
            return None
        imports: dict[tuple[str, tuple[str, ...]], str] = {}
        checked = check_bytes(path, data, settings.config, findings, self._reader(imports, settings.config.library))
        value = self._row(checked) if self._row else None
        if self._store is not None and settings.digest == surroundings[1]:
            variant = _kept(checked, imports, findings, value)
            if variant is not None:
                key = self._key(path, data, settings.digest)
                before = self._store.read(key)
                others = [other for other in before if other != variant] if isinstance(before, list) else []
                self._store.write(key, [variant, *others[: VARIANTS - 1]])
        return value

    # ------------------------------------------------------------ what a result depends on

    def _key(self, path: str, data: bytes, surroundings: str) -> str:
        return key_of(path, data, surroundings, (_name(self._row), _name(self._configure), *self._options))

    def _surroundings(self, path: str) -> tuple[str | None, str]:
        """Return the file that configures a program, and the digest of all that lies around the program and counts."""
        folder = os.path.dirname(path)
        found = self._digests.get(folder)
        if found is None:
            if len(self._digests) >= _AT_HAND:
                self._digests.clear()
            config = find_config(folder)
            found = self._digests[folder] = (config, self._surroundings_digest(config, folder))
        return found

    def _surroundings_digest(self, config: str | None, folder: str) -> str:
        """Return the digest of the configuration, the lock and the prices that count for programs in a folder; of
        nothing where nothing is kept.

        Messages name the configuration as it is seen from the working folder.
        """
        if self._store is None:
            return ""
        from masdsl.pricing.lock import LOCK_NAME

        beside = os.path.dirname(config) if config is not None else folder
        prices = (file_digest(os.path.join(beside, LOCK_NAME)), self._price_table)
        return digest("none", *prices) if config is None else digest(os.getcwd(), config, file_digest(config), *prices)

    @cached_property
    def _price_table(self) -> str:
        """The digest of litellm's price table. The table is large, so its digest is kept until the file changes."""
        from masdsl.pricing.table import table_path, table_stamp

        stamp = table_stamp()
        key = digest("price table", stamp)
        found = self._store.read(key) if self._store is not None else None
        if not isinstance(found, str):
            try:
                found = file_digest(table_path())
            except LookupError:  # no litellm, or one without a table
                return "missing"
            if self._store is not None:
                self._store.write(key, found)
        return found

    def _settings_of(self, surroundings: tuple[str | None, str]) -> _Settings:
        settings = self._settings.get(surroundings)
        if settings is None:
            if len(self._settings) >= _AT_HAND:
                self._settings.clear()
            findings = Findings()
            path, before = surroundings
            folder = os.path.dirname(path) if path is not None else ""
            config = load_config(folder, findings)
            if self._configure is not None:
                config = self._configure(config)
            # A file that was changed while it was read is nothing to keep results under.
            same = path is None or self._surroundings_digest(path, folder) == before
            settings = self._settings[surroundings] = _Settings(config, findings.sorted(), before if same else "")
        return settings

    def _module(self, importer: str, path: tuple[str, ...], library: str | None) -> _Module:
        key = (os.path.dirname(importer), path, library)
        module = self._modules.get(key)
        if module is None:
            from masdsl.cache_findings import to_json
            from masdsl.reading import read_module

            if len(self._modules) >= _AT_HAND:
                self._modules.clear()
            findings = Findings()
            outcome = read_module(Source(importer, ""), path, findings, library)
            said = [repr(to_json(finding)) for finding in findings.sorted()]
            parts = ("no", outcome) if isinstance(outcome, str) else ("yes", outcome.name, outcome.text)
            module = self._modules[key] = _Module(outcome, findings.sorted(), digest(*parts, *said))
        return module

    def _reader(self, imports: dict[tuple[str, tuple[str, ...]], str], library: str | None) -> ModuleReader:
        """Return a reader of modules that notes what was read."""

        def read(importer: Source, path: tuple[str, ...], findings: Findings) -> Source | str:
            module = self._module(importer.name, path, library)
            imports[importer.name, path] = module.digest
            _report(module.findings, findings)
            return module.outcome

        return read

    # ------------------------------------------------------------ recalling

    def _recall(self, path: str, data: bytes, variant: dict[str, Any]) -> Outcome[T] | None:
        """Return a kept result as an outcome; None where a module, or a file with a finding in it, has changed."""
        for importer, parts, expected in variant["imports"]:
            if self._module(importer, tuple(parts), variant["library"]).digest != expected:
                return None
        if any(_stamp(name) != expected for name, expected in variant["files"]):
            return None
        if any(package_state(name) != expected for name, expected in variant["packages"]):
            return None
        findings: tuple[Finding, ...] = ()
        suppressed: tuple[Suppressed, ...] = ()
        if variant["findings"] or variant["suppressed"]:
            from masdsl.cache_findings import allowed_from_json, from_json
            from masdsl.reading import decode

            sources = {path: decode(path, data, Findings())}
            for name, expected in variant["sources"]:
                source = _read_again(name)
                if source is None or digest(source.text) != expected:
                    return None
                sources[name] = source
            findings = tuple(from_json(value, sources.__getitem__) for value in variant["findings"])
            suppressed = allowed_from_json(variant["suppressed"], sources.__getitem__)
        return Outcome(path, findings, suppressed, variant["value"])


def _made_again(
    kind: type[ProgramCheck[Any]],
    row: Callable[[Checked], Any] | None,
    configure: Callable[[Config], Config] | None,
    options: tuple[str, ...],
    cached: bool,
) -> ProgramCheck[Any]:
    return kind(row, configure=configure, options=options, cached=cached)


def _kept(checked: Checked, imports: dict[Any, str], findings: Findings, value: Any) -> dict[str, Any] | None:
    """Return what `_recall` needs; None where the result may not be kept.

    That is so as well where a finding is about another file as a whole, or a file that has changed since.
    """
    source = checked.source
    reported = findings.sorted()
    every = [*reported, *(one.finding for one in findings.suppressed)]
    if source is None or any(finding.diagnostic.code in NOT_KEPT for finding in every):
        return None
    elsewhere = {finding.source.name: finding.source for finding in every if finding.source.name != source.name}
    if any(_read_again(name) != other for name, other in elsewhere.items()):
        return None
    from masdsl.cache_findings import allowed_to_json, to_json

    models = checked.config.models.values()
    counting = {path for model in models for path in (model.tokenizer, model.path) if path is not None}
    packages = ["tokenizers"] if any(model.tokenizer is not None for model in models) else []
    return {
        "library": checked.config.library,
        "imports": [[importer, list(path), expected] for (importer, path), expected in imports.items()],
        "sources": [[name, digest(other.text)] for name, other in elsewhere.items()],
        "files": [[name, _stamp(name)] for name in sorted(counting)],
        "packages": [[name, package_state(name)] for name in packages],
        "findings": [to_json(finding) for finding in reported],
        "suppressed": allowed_to_json(findings.suppressed),
        "value": value,
    }


def _stamp(path: str) -> str:
    """Return what tells one state of a large file from another without reading it."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return "missing"
    return f"{status.st_size} {status.st_mtime_ns}"


def _read_again(name: str) -> Source | None:
    from masdsl.reading import read_source

    return read_source(name, Findings())


def _report(found: Sequence[Finding], findings: Findings) -> None:
    for finding in found:
        findings.add(*finding)


def _name(function: Callable[..., Any] | None) -> str:
    """Return what tells functions of modules apart, and what they were bound to."""
    if function is None:
        return ""
    if isinstance(function, partial):
        return f"{_name(function.func)} {function.args!r} {sorted(function.keywords.items())!r}"
    place = f"{function.__module__}.{getattr(function, '__qualname__', type(function).__qualname__)}"
    return place if hasattr(function, "__qualname__") else f"{place} {function!r}"
