"""The texts of a run's program: the one it began with, and those that patches have made of it."""

from __future__ import annotations

from collections.abc import Sequence

from masdsl.diagnostics.base import Findings
from masdsl.journal.base import Row, RunHeader
from masdsl.patch.patching import apply_patch
from masdsl.rectify.checks import PATCH_NAME
from masdsl.rectify.sources import source_of
from masdsl.rectify.stored import PATCH
from masdsl.source import Source


def texts_of(header: RunHeader, rows: Sequence[Row]) -> tuple[Source, ...]:
    """Return the text that a run began with, and the one after each patch that was applied, in order.

    Nothing is checked: a patch that does not apply by now leaves the text as it is.
    """
    texts = [source_of(header.program, header.sources)]
    for row in rows:
        if row.kind == PATCH and "patch" in row.body:
            done = apply_patch(Source(PATCH_NAME, str(row.body["patch"])), texts[-1], Findings())
            texts.append(texts[-1] if done is None else done.source)
    return tuple(texts)
