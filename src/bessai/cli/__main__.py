"""`python -m bessai.cli` is `bessai`."""

from bessai.cli import main

main()
