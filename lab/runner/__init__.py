"""The one engine that runs scenarios, for the command line and for pytest."""
