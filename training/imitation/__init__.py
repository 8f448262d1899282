"""Rows of supervised fine-tuning for any role, of what led to success in trees: `python -m training.imitation`.

rows      what was written at a decision, with its context, where some trajectory behind it succeeded
command   files of trees in, a file of rows out
"""
