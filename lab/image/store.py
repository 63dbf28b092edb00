"""Images in the cache, by the digest of their recipe; built when there is none."""

from dataclasses import dataclass, field
from pathlib import Path

from lab.cache import Cache, Hold, contents
from lab.image.boot import FACTS_FILE, KERNEL_FILE, ImageFacts, extract_boot_files
from lab.image.kernel_build import prepare_kernel
from lab.image.recipe import ROOT_SIZE, Recipe
from lab.image.rootfs import STAGE, make_root_archive, make_root_disk
from lab.process import run
from lab.progress import Progress, ProgressSink, silent

KIND = "images"
DISK_FILE = "root.qcow2"
JOIN_LIMIT = 120.0


@dataclass(frozen=True)
class Image:
    """A finished image: its folder in the cache, its key, and what is known of it.

    `hold` keeps the folder from being pruned while this object lives.
    """

    folder: Path
    key: str
    facts: ImageFacts
    hold: Hold | None = field(default=None, repr=False, compare=False)

    @property
    def disk(self) -> Path:
        """The root disk, qcow2; never written after it was built."""
        return self.folder / DISK_FILE

    @property
    def kernel(self) -> Path:
        """The kernel to boot."""
        return self.folder / KERNEL_FILE

    @property
    def contents(self) -> str:
        """Digest of what is in it: one recipe gives other images as Debian's archive moves on."""
        return contents(self.folder)

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
    """The image of a recipe: from the cache, or built now (about 90 s and a download).

    A kernel that the lab builds is built first if it is not there; that takes much longer.
    """

    def build(folder: Path) -> None:
        kernel = prepare_kernel(recipe.kernel, cache, progress) if recipe.kernel.source else None
        archive = folder / "root.tar"
        make_root_archive(recipe, archive, progress)
        if kernel is not None:
            run(["tar", "-A", "-f", str(archive), str(kernel.archive)], timeout=JOIN_LIMIT)
        make_root_disk(archive, folder / DISK_FILE, ROOT_SIZE, progress)
        extract_boot_files(archive, folder, recipe.suite).save(folder)
        archive.unlink()
        progress(Progress(STAGE, "sealing", 0.98))

    hold = cache.use(KIND, recipe.key)
    folder = cache.entry(KIND, recipe.key, build, progress)
    return Image(folder, recipe.key, ImageFacts.load(folder), hold)
