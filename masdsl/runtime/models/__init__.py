"""Models: the protocol (`base`) and what speaks it."""
