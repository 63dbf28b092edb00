"""`python -m lab` is `blksnap-lab`."""

from lab.cli.main import main

main()
