"""From nothing to a template: image, keys, acceleration, module, agent, saved guest; all cached."""

from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path

from lab.accel import decide, decided
from lab.cache import Cache, digest_of, tidy
from lab.flavour import GUEST_FILE, Flavour
from lab.guest.command import Accel, MachineSpec, Wiring, qemu_command
from lab.guest.disks import Slot
from lab.guest.identity import Identity, StaleTemplate, misses_patches, qemu_identity
from lab.guest.settings import GuestSettings
from lab.guest.template import STAGE, Template, save_template, template_spec
from lab.image import (
    GuestFile,
    Image,
    Keys,
    Payload,
    base_payload,
    build_initramfs,
    find_image,
    machine_keys,
    prepare_image,
)
from lab.image.kernel_build import STAGE as KERNEL
from lab.image.rootfs import STAGE as IMAGE
from lab.modbuild import STAGE as MODULE
from lab.modbuild import BuiltModule, build_module, find_module
from lab.modready import ReadyModule, ready_module
from lab.progress import Progress, ProgressSink, silent

KIND = "templates"
AGENT_FOLDER = "opt/blksnap-lab"
MODULE_FOLDER = "opt/blksnap-lab/modules"
# What of the lab runs in a guest. It is copied as files; nothing of it is imported here.
_AGENT_FILES = ("__init__.py", "errors.py", "units.py", "stamp.py", "filedata.py")
_AGENT_PACKAGES = ("blksnap", "agent")


def prepare(
    settings: GuestSettings, progress: ProgressSink = silent, cache: Cache | None = None
) -> Template:
    """The template of these settings; what is not in the cache is made now (first time: minutes).

    Errors: EnvironmentLack, ModuleBuildFailed, CacheError, CommandFailed, GuestLost ...; nothing
    half-made is kept.
    """
    cache = cache or Cache()
    image = prepare_image(settings.recipe, cache, progress)
    keys = machine_keys(cache)
    decision = decide(settings.accel, image, cache, progress)
    module: BuiltModule | ReadyModule | None = None
    if settings.ready:
        module = ready_module(settings.ready, image)
    elif settings.module is not None:
        module = build_module(
            settings.module,
            image,
            keys=keys,
            accel=decision.accel,
            cache=cache,
            progress=progress,
            kernel=settings.recipe.kernel,
            coverage=settings.coverage,
        )
    plan = _plan(settings, image, keys, decision.accel, module)
    hold = cache.use(KIND, plan.identity.key)
    folder = _template_folder(plan, image, cache=cache, progress=progress)
    spec = template_spec(plan.wanted, image, folder)
    module_dir = f"/{MODULE_FOLDER}" if module else None
    return Template(
        folder,
        plan.identity,
        spec,
        image,
        keys,
        cache,
        module=module,
        module_dir=module_dir,
        module_source=settings.module,
        flavour=settings.flavour,
        hold=hold,
    )


def lacking(settings: GuestSettings, cache: Cache | None = None) -> tuple[str, ...]:
    """The stages of prepare() that are to be done, as what they make is not in the cache.

    Makes nothing. Errors as of prepare(), as far as they are found without making anything.
    """
    cache = cache or Cache()
    image = find_image(settings.recipe, cache)
    if image is None:
        kernel = (KERNEL,) if settings.recipe.kernel.source else ()
        built = (MODULE,) if settings.module is not None else ()
        return (*kernel, IMAGE, *built, STAGE)
    module: BuiltModule | ReadyModule | None = None
    if settings.ready:
        module = ready_module(settings.ready, image)
    elif settings.module is not None:
        module = find_module(settings.module, image, cache, coverage=settings.coverage)
        if module is None:
            return (MODULE, STAGE)
    accel = decided(settings.accel, image, cache)
    if accel is None:
        return (STAGE,)
    plan = _plan(settings, image, machine_keys(cache), accel, module)
    return () if (cache.root / KIND / plan.identity.key).is_dir() else (STAGE,)


@dataclass(frozen=True)
class _Plan:
    """A template before it is made."""

    wanted: MachineSpec
    initramfs: bytes
    identity: Identity


def _plan(
    settings: GuestSettings,
    image: Image,
    keys: Keys,
    accel: Accel,
    module: BuiltModule | ReadyModule | None,
) -> _Plan:
    agent = agent_payload()
    files = base_payload(keys).files + agent.files + name_files(settings.flavour)
    payload = module_payload(module, Payload(files))
    initramfs = build_initramfs(image.folder, payload)
    wanted = MachineSpec(
        image.kernel,
        Path(),
        accel,
        memory=settings.machine_memory,
        cpus=settings.cpus,
        slots=tuple(Slot(sizes) for sizes in settings.slots),
        one_thread=accel is Accel.TCG and misses_patches(),
        icount=settings.icount,
    )
    return _Plan(wanted, initramfs, _identity(wanted, image, initramfs, agent, module))


def _identity(
    wanted: MachineSpec,
    image: Image,
    initramfs: bytes,
    agent: Payload,
    module: BuiltModule | ReadyModule | None,
) -> Identity:
    """What a template of these parts is made from."""
    return Identity(
        qemu=qemu_identity(),
        accel=wanted.accel,
        image=f"{image.key}-{image.contents}",
        kernel_release=image.facts.kernel_release,
        initramfs=digest_of(initramfs),
        module=module.key if module else "none",
        agent=digest_of(*(part for file in agent.files for part in (file.name, file.content))),
        command_line=_command_line_digest(wanted, image),
    )


def _command_line_digest(wanted: MachineSpec, image: Image) -> str:
    """Digest of the command line of a template, as if all its files were in no folder."""
    bare = replace(image, folder=Path("image"))
    spec = template_spec(wanted, bare, Path("template"))
    return digest_of(*qemu_command(spec, Wiring(0, 0, Path("console.log"))))


def _template_folder(plan: _Plan, image: Image, *, cache: Cache, progress: ProgressSink) -> Path:
    """The saved guest in the cache. One that is not what its key says is refused and made anew."""
    identity = plan.identity

    def build(folder: Path) -> None:
        progress(Progress(STAGE, "making the guest that scenarios start from", 0.0))
        save_template(plan.wanted, image, plan.initramfs, folder, progress)
        identity.save(folder)

    folder = cache.entry(KIND, identity.key, build, progress)
    try:
        identity.check(folder)
    except StaleTemplate as error:
        progress(Progress(STAGE, f"refused: {error.what}"))
        cache.discard(KIND, identity.key)
        folder = cache.entry(KIND, identity.key, build, progress)
    tidy(cache)
    return folder


def agent_payload() -> Payload:
    """The sources of the agent and of what it needs."""
    with resources.as_file(resources.files("lab")) as source:
        payload = Payload()
        for pattern in (*_AGENT_FILES, *(f"{name}/**/*.py" for name in _AGENT_PACKAGES)):
            payload = payload.with_tree(source, f"{AGENT_FOLDER}/lab", pattern)
    return payload


def name_files(flavour: Flavour) -> tuple[GuestFile, ...]:
    """What tells the ctypes library other names than those of its header."""
    if flavour == Flavour():
        return ()
    return (GuestFile(f"{AGENT_FOLDER}/lab/blksnap/{GUEST_FILE}", flavour.guest_file()),)


def module_payload(module: BuiltModule | ReadyModule | None, payload: Payload) -> Payload:
    """A payload and the modules to load."""
    if module is None:
        return payload
    files = (GuestFile(f"{MODULE_FOLDER}/{name}", data) for name, data in module.files())
    return Payload((*payload.files, *files))
