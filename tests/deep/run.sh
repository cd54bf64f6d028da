#!/usr/bin/env bash
# What takes longer than `make check` allows: thousands of drawn examples, hundreds of kills while a record
# is written, four gigabytes pruned within two, every page in a browser, both workflows of GitHub from a fresh
# clone. Installs what it needs (Chromium from Debian, Playwright's driver from the Python index, axe-core from
# npm) and never skips silently.
set -euo pipefail
cd "$(dirname "$0")/../.."

KILLS=300 .venv/bin/python -m pytest --hypothesis-profile=deep \
  tests/checkpoint tests/pruning/test_magnitudes.py tests/pruning/test_masks.py \
  tests/records tests/generator/test_render.py

.venv/bin/python tests/deep/address_limit.py

command -v chromium >/dev/null || { apt-get update -qq && apt-get install -y -qq chromium; }
.venv/bin/python -m pip install --quiet 'playwright>=1.50'
npm install --silent --no-save --prefix build/axe axe-core@4

.venv/bin/mkdocs build --strict --site-dir build/browsed-site
.venv/bin/python tests/deep/browse.py build/browsed-site build/axe/node_modules/axe-core/axe.min.js build/screens

# Last, since the workflow `check` is `make check` once more.
.venv/bin/python tests/deep/workflows.py
