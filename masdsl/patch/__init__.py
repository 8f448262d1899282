"""Patches: programs changed by data that is keyed by names.

    diff(a, b) -> edits        apply(edits, a) -> b        merge(base, left, right)

Everything here works on syntax trees; `patching` is where texts come in and whole programs are checked again. Addresses
are those of `check/program.py`, found in the tree by `places`.
"""
