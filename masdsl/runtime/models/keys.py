"""Keys of providers, from the environment variables that the configuration names."""

from __future__ import annotations

import os
import re

from masdsl.redaction import Secret
from masdsl.runtime.models.base import ModelError

_SECRET_NAME = re.compile(r"(KEY|TOKEN|SECRET|PASSWORD|CREDENTIALS)$", re.IGNORECASE)


def secret_from(key_env: str | None) -> Secret:
    """Return the key in the environment variable `key_env`; an empty secret where `key_env` is None.

    Raises ModelError (`auth`) where the variable is not set or holds what no HTTP header can carry.
    """
    if key_env is None:
        return Secret()
    value = os.environ.get(key_env, "").strip()
    if not value:
        raise ModelError("auth", f"the environment variable {key_env} is not set: put the model's key there")
    if not value.isascii() or not value.isprintable():
        raise ModelError("auth", f"the environment variable {key_env} holds characters that no key has: set it again")
    return Secret(value)


def ambient_secrets(first: Secret) -> Secret:
    """Return a secret that also redacts every key in the environment: a library may have picked one up by itself."""
    others = [value.strip() for name, value in os.environ.items() if _SECRET_NAME.search(name)]
    return Secret(first.reveal(), *(value for value in others if len(value) >= 8))
