"""Grammars for constrained decoding: what a model may write next, derived from `grammar/mas.lark`."""
