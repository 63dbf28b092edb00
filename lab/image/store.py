"""Images in the cache, by the digest of their recipe; built when there is none."""

from dataclasses import dataclass
from pathlib import Path

from lab.cache import Cache
from lab.image.boot import FACTS_FILE, KERNEL_FILE, ImageFacts, extract_boot_files
from lab.image.recipe import Recipe
from lab.image.rootfs import STAGE, make_root_archive, make_root_disk
from lab.progress import Progress, ProgressSink, silent

KIND = "images"
DISK_FILE = "root.qcow2"


@dataclass(frozen=True)
class Image:
    """A finished image: its folder in the cache, its key, and what is known of it."""

    folder: Path
    key: str
    facts: ImageFacts

    @property
    def disk(self) -> Path:
        """The root disk, qcow2; never written after it was built."""
        return self.folder / DISK_FILE

    @property
    def kernel(self) -> Path:
        """The kernel to boot."""
        return self.folder / KERNEL_FILE

    @property
    def size(self) -> int:
        """Bytes that the image takes on the host."""
        return sum(path.stat().st_blocks * 512 for path in self.folder.rglob("*"))


def find_image(recipe: Recipe, cache: Cache) -> Image | None:
    """The image of a recipe if it has been built."""
    folder = cache.root / KIND / recipe.key
    if not (folder / FACTS_FILE).is_file():
        return None
    return Image(folder, recipe.key, ImageFacts.load(folder))


def prepare_image(recipe: Recipe, cache: Cache, progress: ProgressSink = silent) -> Image:
    """The image of a recipe: from the cache, or built now (about 90 s and a download)."""

    def build(folder: Path) -> None:
        archive = folder / "root.tar"
        make_root_archive(recipe, archive, progress)
        make_root_disk(archive, folder / DISK_FILE, recipe.size, progress)
        extract_boot_files(archive, folder, recipe.suite).save(folder)
        archive.unlink()
        progress(Progress(STAGE, "sealing", 0.98))

    folder = cache.entry(KIND, recipe.key, build, progress)
    return Image(folder, recipe.key, ImageFacts.load(folder))
