"""What every command of `training` is made of.

command    the frame of a command line: its configuration, its folder, how faults are told
faults     what commands end with: their own faults, and those of what they call
settings   configurations: TOML read into frozen types, with every mistake at its line
record     what a run was made of: `run.json` and `manifest.json`
"""
