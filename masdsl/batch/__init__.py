"""Batches: programs x samples x models x repetitions, run and graded by an engine on one machine or many."""
