"""Guests: QEMU machines, templates and their clones, the agent's channel, SSH."""
