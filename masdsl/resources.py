"""Finds the files that are not Python: the grammar and the standard library.

In a wheel they lie inside the package (`masdsl/grammar`), in a checkout beside it (`grammar`). `importlib.resources` finds
only the first, so all access goes through here.
"""

from __future__ import annotations

import os

_PACKAGE = os.path.dirname(os.path.abspath(__file__))
_ROOTS = (_PACKAGE, os.path.dirname(_PACKAGE))


def find(folder: str, name: str) -> str:
    """Return the path of a data file, such as `find("grammar", "mas.lark")`.

    Raises FileNotFoundError, naming the places that were tried: the installation is broken.
    """
    places = [os.path.join(root, folder, name) for root in _ROOTS]
    for place in places:
        if os.path.isfile(place):
            return place
    raise FileNotFoundError(f"this installation of masdsl lacks {folder}/{name}; tried {' and '.join(places)}. Install it again")


def read_text(folder: str, name: str) -> str:
    """Return the text of a data file. Raises FileNotFoundError like `find`."""
    with open(find(folder, name), encoding="utf-8") as file:
        return file.read()


def names(folder: str, suffix: str) -> tuple[str, ...]:
    """Return the sorted file names in a data folder that end with `suffix`, such as `names("stdlib", ".mas")`."""
    for root in _ROOTS:
        place = os.path.join(root, folder)
        if os.path.isdir(place):
            found = sorted(name for name in os.listdir(place) if name.endswith(suffix))
            if found:
                return tuple(found)
    return ()
