#!/usr/bin/env bash
# Sets up .venv and the system libraries. Does nothing the second time.
#   scripts/setup.sh demo   what napari needs
#   scripts/setup.sh test   that, Xvfb, a window manager and the developers' tools
#   scripts/setup.sh bench  the engine and what the benchmarks compare with; no napari
#   scripts/setup.sh docs   the engine and what builds the documents
set -euo pipefail
cd "$(dirname "$0")/.."

purpose=${1:?demo, test, bench or docs}
python=${PYTHON:-python3}

say() { printf '%s\n' "$*"; }
fail() { say "$*" >&2; exit 1; }

command -v "$python" >/dev/null || fail "$python: not found; install Python 3.11 or later"
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    fail "$python: $("$python" -V 2>&1); give 3.11 or later with make $purpose PYTHON=python3.12"

# --- system libraries --------------------------------------------------------
# Asked by the name of the library, which unlike that of its package is the same
# in every Debian and Ubuntu.
libraries='libglib-2.0.so.0 libglib2.0-0
libGL.so.1 libgl1
libEGL.so.1 libegl1
libfontconfig.so.1 libfontconfig1
libxkbcommon.so.0 libxkbcommon0
libdbus-1.so.3 libdbus-1-3
libxcb-cursor.so.0 libxcb-cursor0
libxcb-icccm.so.4 libxcb-icccm4
libxcb-keysyms.so.1 libxcb-keysyms1
libxkbcommon-x11.so.0 libxkbcommon-x11-0
libxcb-shape.so.0 libxcb-shape0'

missing=()
if [ "$(uname -s)" = Linux ]; then
    if [ "$purpose" = demo ] || [ "$purpose" = test ]; then
        present=$(PATH="$PATH:/sbin:/usr/sbin" ldconfig -p || true)
        while read -r library package; do
            grep -q "^[[:space:]]*${library//./\\.} " <<<"$present" || missing+=("$package")
        done <<<"$libraries"
    fi
    if [ "$purpose" = test ]; then
        command -v Xvfb >/dev/null || missing+=(xvfb)
        command -v openbox >/dev/null || missing+=(openbox)
        command -v xdotool >/dev/null || missing+=(xdotool)
        command -v xauth >/dev/null || missing+=(xauth)
    fi
    if [ ! -x .venv/bin/python ] && ! "$python" -c 'import ensurepip' 2>/dev/null; then
        missing+=("$("$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')")
    fi
fi

install_missing() {
    local as_root=()
    command -v apt-get >/dev/null || return 1
    if [ "$(id -u)" -ne 0 ]; then
        sudo -n true 2>/dev/null || return 1
        as_root=(sudo -n)
    fi
    say "installing system packages: ${missing[*]}"
    "${as_root[@]}" apt-get update -qq &&
        "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
            apt-get install -qq -y --no-install-recommends "${missing[@]}" >/dev/null
}

if [ ${#missing[@]} -gt 0 ] && ! install_missing; then
    line="missing system packages; install them with: sudo apt-get install ${missing[*]}"
    # The engine needs none of the libraries, so a demo without a window goes on.
    [ "$purpose" = demo ] && [ -z "${DISPLAY:-}${WAYLAND_DISPLAY:-}" ] || fail "$line"
    say "$line"
fi

# --- environment -------------------------------------------------------------
extras=gui
[ "$purpose" = test ] && extras=gui,dev
[ "$purpose" = bench ] && extras=bench
[ "$purpose" = docs ] && extras=docs
# An environment keeps the folder it was made in: one that moved is created again.
if [ ! -x .venv/bin/python ] || [ "$(cat .venv/.folder 2>/dev/null)" != "$PWD" ]; then
    "$python" -m venv --clear .venv
    say "$PWD" >.venv/.folder
fi
stamp=.venv/.installed-$purpose
state=$(cat pyproject.toml hatch_build.py | cksum)
if [ "$(cat "$stamp" 2>/dev/null)" != "$state" ]; then
    say "installing napari-mrisr and what it needs into .venv (a minute or two)"
    PIP_DISABLE_PIP_VERSION_CHECK=1 .venv/bin/python -m pip install -q -e ".[$extras]"
    say "$state" >"$stamp"
fi
