# SPDX-License-Identifier: Apache-2.0
# Source this file. `need COMMAND PACKAGE` and `need_package PACKAGE` collect missing packages; `install_missing`
# installs them.

missing=

need() { command -v "$1" >/dev/null 2>&1 || missing="$missing $2"; }

# Does nothing on systems without dpkg; there CMake reports a missing library.
need_package() {
    command -v dpkg-query >/dev/null 2>&1 || return 0
    case $(dpkg-query -W -f '${Status}' "$1" 2>/dev/null) in
    *' installed') ;;
    *) missing="$missing $1" ;;
    esac
}

# On Debian, `venv` needs the package python3-venv, even if the command python3 exists.
need_venv() { python3 -c 'import ensurepip, venv' >/dev/null 2>&1 || missing="$missing python3 python3-venv"; }

quietly() {
    quietly_log=$(mktemp)
    "$@" >"$quietly_log" 2>&1 || {
        quietly_status=$?
        cat "$quietly_log" >&2
        rm -f "$quietly_log"
        return "$quietly_status"
    }
    rm -f "$quietly_log"
}

install_missing() {
    [ -n "$missing" ] || return 0
    as_root=
    if [ "$(id -u)" != 0 ]; then
        if sudo -n true 2>/dev/null; then as_root=sudo; else as_root=none; fi
    fi
    if [ "$as_root" = none ] || ! command -v apt-get >/dev/null 2>&1; then
        echo "Please install, then run this again (names of Debian's packages):$missing" >&2
        return 1
    fi
    echo "Installing:$missing" >&2
    quietly $as_root apt-get update &&
        quietly $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $missing
}
