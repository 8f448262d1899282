"""Supervised fine-tuning of a generator on examples of `training.data`: `python -m training.sft CONFIG --out DIR`."""
