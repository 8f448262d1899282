"""Trust labels: what text may decide what a tool does, and who may read what; proved before a program runs."""
