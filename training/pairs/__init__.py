"""Preferences between siblings of trees: `python -m training.pairs TREES... -o PAIRS`.

preferences   D_pi of MAS² (equation 10): which of two siblings should have been written, and by how much
card          what was left after every step, in counts
command       files of trees in, a file of pairs and its card out
"""
