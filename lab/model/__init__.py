"""What every sector of every original and image, and every byte of every CBT map, must be.

Pure: told what was done and what was seen, it answers with disagreements. It never raises for one.
"""
