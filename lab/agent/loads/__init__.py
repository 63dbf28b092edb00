"""Background activities: each kind is a class, found by its name.

writers       stamped writes at random places
ring          a counter written to device after device
file_ring     a counter fsync'd to file after file
readers       random reads, every sector verified
answer        difference storage for each low-space event
take_cycle    create, take, destroy, over and over
freeze        freezing and thawing a file system, over and over
memory        the module's memory counters, read all the time
collect       all that the module lists, asked for all the time
"""
