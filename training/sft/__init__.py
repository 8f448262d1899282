"""Supervised fine-tuning of a generator on examples of `training.data`: `python -m training.sft CONFIG --out DIR`.

rows        examples in TRL's form, checked, and their tokens
evaluation  what the model in training emits, every some steps
training    a configuration in, a folder out, which can be gone on with
"""
