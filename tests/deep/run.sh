#!/usr/bin/env bash
# What takes longer than `make check` allows: thousands of drawn examples, hundreds of kills while a record
# is written, four gigabytes pruned within two, every page in a browser, the pages by Zensical, both workflows
# of GitHub from a fresh clone. Installs what it needs (Chromium from Debian, Playwright's driver and Zensical
# from the Python index, axe-core from npm) and never skips silently: what fails is named at the end.
set -euo pipefail
cd "$(dirname "$0")/../.."

failed=()
try() { "$@" || failed+=("$*"); }
deep() { try .venv/bin/python "tests/deep/$1.py" "${@:2}"; }

KILLS=300 try .venv/bin/python -m pytest --hypothesis-profile=deep \
  tests/checkpoint tests/pruning/test_magnitudes.py tests/pruning/test_masks.py \
  tests/records tests/generator/test_render.py

deep address_limit

command -v chromium >/dev/null || { apt-get update -qq && apt-get install -y -qq chromium; }
.venv/bin/python -m pip install --quiet 'playwright>=1.50'
npm install --silent --no-save --prefix build/axe axe-core@4
[ -x build/zensical/bin/zensical ] || .venv/bin/python -m venv build/zensical
build/zensical/bin/python -m pip install --quiet --upgrade zensical

deep browse docs build/axe/node_modules/axe-core/axe.min.js build/screens
deep explorer docs
deep limits docs
deep searching docs
deep zensical_site docs build/zensical/bin/zensical
deep rebuilds

# Last, since the workflow `check` is `make check` once more.
deep workflows

for one in "${failed[@]}"; do echo "failed: $one" >&2; done
[ ${#failed[@]} = 0 ]
