"""Coverage of the module: which scenario reached which line, from what a run kept of it.

The counters of each boot of each scenario's guest are files as gcov takes them, kept by
lab.runner.coverage; the compiler's notes and the sources are in an archive beside them. gcov of the
guests' own Debian makes lines and branches of both.
"""
