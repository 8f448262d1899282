"""What runs in the process that is locked: no module here may import anything of masdsl that stands outside of it."""
