"""Reading and writing blocks in every way a program can."""
