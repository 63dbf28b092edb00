"""What takes long to make is made once, and kept with its digests."""

from lab.cache.digest import digest_file, digest_of, digest_tree
from lab.cache.seal import damage, seal
from lab.cache.store import ENVIRONMENT, Cache, CacheError, Hold, cache_root

__all__ = [
    "ENVIRONMENT",
    "Cache",
    "CacheError",
    "Hold",
    "cache_root",
    "damage",
    "digest_file",
    "digest_of",
    "digest_tree",
    "seal",
]
