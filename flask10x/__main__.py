"""`python -m flask10x` is the command `flask10x`."""

from flask10x.commands.main import main

main()
