# Sourced by the scripts beside it: makes this machine and this checkout ready.
#
# Installs what is missing (as root; otherwise prints the one command that does), refuses a Python that
# is too old, and makes .venv when pyproject.toml has changed since. The working folder stays what it
# was; $checkout is the folder of the checkout.
# shellcheck shell=bash

set -euo pipefail
checkout=$(CDPATH='' cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

say() { printf '== %s\n' "$*" >&2; }

missing_packages() {
    local program package need _why
    while read -r program package need _why; do
        case "$program" in '' | '#'*) continue ;; esac
        [ "$need" = extras ] && continue
        command -v "$program" >/dev/null 2>&1 || [ -x "/usr/sbin/$program" ] || echo "$package"
    done <lab/data/host-programs.txt
    # Only root builds the guest image without it.
    [ "$(id -u)" = 0 ] || command -v newuidmap >/dev/null 2>&1 || echo uidmap
    command -v python3 >/dev/null 2>&1 || echo python3
    python3 -c 'import ensurepip, venv' >/dev/null 2>&1 || echo python3-venv
}

# Debian 12's own QEMU, 7.2, emulates code that is patched while it runs right in one thread only (see
# docs/limits.md), where few races show; its backports have one that does better. This is where
# they are; nothing on other systems.
backports_archive() {
    [ "$(. /etc/os-release && echo "${VERSION_CODENAME:-}")" = bookworm ] || return 0
    apt-get indextargets --format '$(ORIGIN) $(CODENAME) $(REPO_URI)' 'Identifier: Packages' |
        sed -n 's/^Debian bookworm //p' | head -n 1
}

# The backports are named to this one call of apt-get, and what the machine takes packages from stays
# as it is. (All of that suite is preferred for it: of packages named with their suite the dependencies
# are not, and where none of them is installed yet, apt finds no solution.)
install_newer_qemu() (
    archive=$(backports_archive)
    [ -n "$archive" ] || exit 0
    folder=$(mktemp -d)
    trap 'rm -rf "$folder"' EXIT
    mkdir -p "$folder/lists/partial" "$folder/cache/archives/partial"
    { cat /etc/apt/sources.list 2>/dev/null || true; } >"$folder/sources.list"
    echo "deb $archive bookworm-backports main" >>"$folder/sources.list"
    options=(-q -o "Dir::Etc::SourceList=$folder/sources.list" -o APT::Sandbox::User=root
        -o "Dir::State::Lists=$folder/lists" -o "Dir::Cache=$folder/cache")
    apt-get "${options[@]}" update >&2 &&
        apt-get "${options[@]}" install -y --no-install-recommends \
            -t bookworm-backports qemu-system-x86 qemu-utils >&2 ||
        say "no newer QEMU is to be had; Debian 12's own will do"
)

# The one command for who is not root. With it the backports stay among what the machine takes
# packages from, where none comes from unless it is asked for.
print_command() {
    local packages=$1 archive="" update="apt-get update" install="apt-get install -y --no-install-recommends"
    case "$packages" in *qemu-system-x86*) archive=$(backports_archive) ;; esac
    echo "missing on this machine; as root, run this and come back:" >&2
    if [ -n "$archive" ]; then
        echo "  echo 'deb $archive bookworm-backports main' >/etc/apt/sources.list.d/bookworm-backports.list &&" >&2
        echo "  $update && $install -t bookworm-backports qemu-system-x86 qemu-utils &&" >&2
        echo "  $install $packages" >&2
        echo "(Debian 12's own QEMU would do, but fewer races show with it: the last line alone installs it.)" >&2
    else
        echo "  $update && $install $packages" >&2
    fi
}

install_packages() {
    local packages
    packages=$(missing_packages | sort -u | tr '\n' ' ')
    [ -n "$packages" ] || return 0
    if ! command -v apt-get >/dev/null 2>&1; then
        echo "missing on this machine, by the names of Debian's packages, and there is no apt-get to install them:" >&2
        echo "  $packages" >&2
        exit 3
    fi
    if [ "$(id -u)" != 0 ]; then
        print_command "$packages"
        exit 3
    fi
    say "installing $packages"
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -q >&2
    case "$packages" in *qemu-system-x86*) install_newer_qemu ;; esac
    # shellcheck disable=SC2086  # one word for each package
    apt-get install -q -y --no-install-recommends $packages >&2
}

require_python() {
    python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' && return 0
    echo "$(command -v python3) is $(python3 --version), but the lab needs Python 3.11 or newer:" >&2
    echo "  use Debian 12 or newer, or let PATH begin with a folder in which python3 is a newer one" >&2
    exit 3
}

make_venv() {
    local want
    want=$({ python3 --version && cat pyproject.toml; } | sha256sum | cut -d' ' -f1)
    [ "$(cat .venv/made-from 2>/dev/null)" = "$want" ] && return 0
    say "making the Python environment in .venv"
    rm -rf .venv
    python3 -m venv .venv
    .venv/bin/pip install -q --disable-pip-version-check -e '.[test]' >&2
    echo "$want" >.venv/made-from
}

(
    cd "$checkout"
    install_packages
    require_python
    # One at a time makes .venv; who waits finds it made. The lock is the folder's own.
    exec 9<.
    flock -w 1800 9 || { echo "another process has been making .venv for half an hour" >&2; exit 3; }
    make_venv
)
