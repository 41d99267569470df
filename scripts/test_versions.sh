#!/usr/bin/env bash
# The fast tests on other Pythons: on 3.10 at the lower bounds of pyproject.toml, on 3.13 with the newest releases.
# Needs uv (pip install uv), which also fetches the interpreters. Environments go to build/versions (several GB).
#
#   bash scripts/test_versions.sh                  all tests, or
#   bash scripts/test_versions.sh tests/losses     options and paths for pytest
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export OMP_NUM_THREADS=1
code=0
for version in "3.10 lowest-direct" "3.13 highest"; do
    read -r python resolution <<<"$version"
    venv="build/versions/$python"
    [ -x "$venv/bin/python" ] || uv venv --python "$python" "$venv"
    uv pip install --python "$venv/bin/python" --resolution "$resolution" -r pyproject.toml --extra dev
    uv pip install --python "$venv/bin/python" --no-deps -e .
    "$venv/bin/python" -m pytest -n "${TEST_PROCESSES:-auto}" --dist loadfile "$@" || code=$?
done
exit "$code"
