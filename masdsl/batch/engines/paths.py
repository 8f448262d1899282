"""Where the Python processes of workers find modules."""

from __future__ import annotations

import os


def python_path() -> str:
    """Return the path of modules of a worker: this very masdsl first."""
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
    return os.pathsep.join(dict.fromkeys([root, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]))
