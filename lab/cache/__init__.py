"""What takes long to make is made once, and kept with its digests."""

from lab.cache.claims import claimed
from lab.cache.digest import digest_file, digest_of
from lab.cache.seal import contents, damage, seal
from lab.cache.store import ENVIRONMENT, Cache, CacheError, Hold, cache_root
from lab.cache.tidy import Holding, disk_usage, holdings, surplus, tidy

__all__ = [
    "ENVIRONMENT",
    "Cache",
    "CacheError",
    "Hold",
    "Holding",
    "cache_root",
    "claimed",
    "contents",
    "damage",
    "digest_file",
    "digest_of",
    "disk_usage",
    "holdings",
    "seal",
    "surplus",
    "tidy",
]
