"""Devices made of devices. Each kind is a class with a path, taken apart by remove().

The guest has no udev, so nodes are made by the tools themselves or by devtmpfs, and the tools are
told not to wait for udev.
"""
