#!/usr/bin/env bash
# Makes .venv beside this folder and installs the project into it, once for each state of pyproject.toml.
#
#   bash scripts/install.sh          what a user needs
#   bash scripts/install.sh dev      and what the tests need
#
# Needs bash and Python >= 3.10. Another interpreter: PYTHON=python3.12 bash scripts/install.sh
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

extra="${1:-}"
python="${PYTHON:-}"
for candidate in $python python3 python3.13 python3.12 python3.11 python3.10 python; do
    if command -v "$candidate" >/dev/null && "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 10))'; then
        python="$candidate"
        break
    fi
    python=""
done
if [ -z "$python" ]; then
    echo "gan-lightning needs Python >= 3.10 on the PATH, or PYTHON=/path/to/python" >&2
    exit 2
fi

state="$(cat pyproject.toml <("$python" -V) | cksum)"
done_user=".venv/.installed"
done_extra=".venv/.installed-${extra:-user}"
if [ "$(cat "$done_extra" 2>/dev/null)" = "$state" ]; then
    exit 0
fi
if [ ! -x .venv/bin/python ]; then
    echo "making .venv with $("$python" -V)"
    if ! "$python" -m venv .venv; then
        echo "could not make a virtual environment; on Debian and Ubuntu: apt-get install python3-venv" >&2
        rm -rf .venv
        exit 2
    fi
fi
echo "installing gan-lightning${extra:+ with its $extra extra} into .venv (PyTorch is large: a few minutes)"
# Python compiles what it imports when it first does, a tenth of what is installed; pip would compile all of it.
compile="--compile"
if [ -z "${PYTHONDONTWRITEBYTECODE:-}" ]; then compile="--no-compile"; fi
.venv/bin/python -m pip install --quiet --disable-pip-version-check --progress-bar off "$compile" -e ".${extra:+[$extra]}"
echo "$state" >"$done_extra"
if [ -n "$extra" ]; then echo "$state" >"$done_user-user"; fi
