"""The version of masdsl: for `mas --version`, and for the heads of compiled files."""

__version__ = "0.1.0"
