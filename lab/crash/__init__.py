"""What a disk may hold after a power cut, worked out from a log of what reached it."""
