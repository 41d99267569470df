#!/usr/bin/env bash
# From nothing to a grid of generated digits: makes .venv, installs the project, trains a spectrally normalised GAN,
# conditional on the digit, on the digits that scikit-learn ships. Two CPU cores are enough. Options go to the command:
#
#   bash scripts/quickstart.sh
#   bash scripts/quickstart.sh --trainer.max_steps 500
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
bash scripts/install.sh
exec .venv/bin/gan-lightning fit --config configs/quickstart.yaml "$@"
