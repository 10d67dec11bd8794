"""`python -m tools.crd [--check]`: see `tools.crd.generate`."""

from tools.crd.generate import main

main()
