"""What the guests' compiler made before, kept between builds (ccache): a changed file costs a file.

Under emulation the compiler needs some 10 s for each file of the module, so that a build after a
change of one file would take minutes. ccache decides by the contents of all that goes into an
object (compiler, options, source, headers) whether it has been made already. One archive for each
guest image; it is copied into the guest before the build and out of it afterwards.
"""

from pathlib import Path

from lab.cache import Cache
from lab.guest.ssh import Ssh
from lab.image import Image
from lab.progress import ProgressSink

# In the guest: ccache's compilers go before the real ones. DEPEND: what a source includes is learnt
# from the compiler's own list (kbuild asks for it), not by running the preprocessor beforehand.
ENVIRONMENT = (
    "PATH=/usr/lib/ccache:$PATH CCACHE_DIR=/tmp/ccache CCACHE_DEPEND=1 CCACHE_MAXSIZE=100M"
)
_FOLDER, _ARCHIVE = "/tmp/ccache", "/tmp/ccache.tar"
COPY_LIMIT = 60.0


def archive_path(cache: Cache, image_key: str) -> Path:
    """Where the archive for an image is, if there is one."""
    return cache.root / "compiler" / f"{image_key}.tar"


def bring(ssh: Ssh, cache: Cache, image: Image) -> None:
    """Give the guest what is there."""
    archive = archive_path(cache, image.key)
    if archive.exists():
        ssh.put(archive, _ARCHIVE)
        # A damaged archive only costs time: what cannot be read is compiled.
        ssh.run(f"tar -C / -xf {_ARCHIVE}; rm -f {_ARCHIVE}", timeout=COPY_LIMIT)


def keep(ssh: Ssh, cache: Cache, image: Image, progress: ProgressSink) -> None:
    """Take from the guest what is there now, for the next build."""
    command = f"tar -C / -cf {_ARCHIVE} {_FOLDER.lstrip('/')}"
    if ssh.run(command, timeout=COPY_LIMIT).status != 0:
        return
    archive = archive_path(cache, image.key)
    with cache.lock(f"compiler-{image.key}", progress), cache.scratch("compiler") as aside:
        ssh.get(_ARCHIVE, aside / archive.name)
        archive.parent.mkdir(parents=True, exist_ok=True)
        (aside / archive.name).replace(archive)
