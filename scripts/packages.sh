# SPDX-License-Identifier: Apache-2.0
# To be sourced. `need COMMAND PACKAGE` and `need_package PACKAGE` note what is missing; `install_missing` installs it.

missing=

need() { command -v "$1" >/dev/null 2>&1 || missing="$missing $2"; }

# Systems without dpkg look after their own libraries: there CMake names the one that it does not find.
need_package() {
    command -v dpkg-query >/dev/null 2>&1 || return 0
    case $(dpkg-query -W -f '${Status}' "$1" 2>/dev/null) in
    *' installed') ;;
    *) missing="$missing $1" ;;
    esac
}

# `venv` needs Debian's python3-venv, which the command python3 does not tell.
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
