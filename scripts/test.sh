#!/usr/bin/env bash
# The checks that every change must pass, on a fresh machine or a used one: the fast tests, ruff and mypy.
#
#   bash scripts/test.sh                    all of it
#   bash scripts/test.sh tests/frame -x     options and paths go to pytest
#   bash scripts/test.sh --smoke            a subset: golden numbers, imports, turns, losses, mistakes
#
# The slow tests (failures of machines, Slurm, network namespaces; minutes, some need root):
#
#   .venv/bin/python -m pytest -m slow
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
unset PYTHONDONTWRITEBYTECODE  # many tests start a Python, which would compile all that it imports each time
bash scripts/install.sh dev

# One test process per core, each with one thread: tiny networks gain nothing from more. A file's tests stay together,
# because they share what they have trained.
export OMP_NUM_THREADS=1
if [[ "${1:-}" == --smoke ]]; then
    shift
    set -- tests/golden tests/frame/test_imports.py tests/frame/test_turns.py tests/frame/test_mistakes.py \
        tests/losses "$@"
fi
code=0
.venv/bin/python -m pytest -n "${TEST_PROCESSES:-auto}" --dist loadfile "$@" || code=$?
.venv/bin/ruff check . || code=1
.venv/bin/ruff format --check . || code=1
.venv/bin/mypy || code=1
exit "$code"
