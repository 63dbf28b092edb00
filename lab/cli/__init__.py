"""The command line `blksnap-lab`; also `python -m lab`."""
