"""What a session takes from outside, and gives back: the user's library and what is in it."""

from __future__ import annotations

from masdsl.config import Config
from masdsl.diagnostics.base import Findings
from masdsl.meta.library import folder_of, known_systems
from masdsl.meta.outcome import Seams
from masdsl.meta.storage import LibraryError


def seams_of(config: Config) -> Seams:
    """Return what the user's library gives to a session: nothing where there is none, or none that can be read."""
    try:
        folder = folder_of(config)
    except LibraryError:
        return Seams()
    return Seams(known=known_systems(folder, Findings()))
