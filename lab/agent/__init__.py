"""The agent: runs in the guest as root, reads a request, does it, answers. See PROTOCOL.md.

    port        the virtio-serial port: lines in, lines out
    typed       arguments checked against a function's annotations
    registry    which operations there are
    server      requests to threads, errors to answers
    ops/        the operations by subject
    block/      ways to write and read blocks
    loads/      background activities
    stacks/     devices made of devices

Standard library, lab.stamp, lab.blksnap and the lowest layer (errors, units) only; Python 3.9.
"""
