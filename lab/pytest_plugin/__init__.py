"""The pytest plugin: scenarios are test items, and fixtures give Python tests a guest.

Its hooks and fixtures are in `plugin`, which pytest loads wherever blksnap-lab is installed;
nothing else is imported before a scenario or a guest is asked for.
"""
