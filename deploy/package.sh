#!/usr/bin/env bash
# What travels to other machines, made below dist/: the wheel, the zip for --py-files, and a bill of materials. Without a
# network: what builds the wheel is in the environment already.
#   deploy/package.sh                 wheel, zip, bill of materials
#   deploy/package.sh environment     the virtual environment as an archive for YARN, too (a gigabyte); a virtual environment
#                                     has no Python of its own: all machines need the one that made it, at the same place
set -euo pipefail
# shellcheck source=lib/setup.sh
source "$(dirname "${BASH_SOURCE[0]}")/../lib/setup.sh"

ensure_setup base no-java
dist=${TIDEMILL_DIST:-$repo/dist}
rm -rf "$dist" && mkdir -p "$dist"
# The same sources give the same bytes: no time of day in them.
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-1577836800}
"$venv/bin/python" -I -m pip --disable-pip-version-check wheel --quiet --no-deps --no-index --no-build-isolation \
  --wheel-dir "$dist" "$repo"
# A wheel is a zip whose top folder Python can import from; Spark wants the ending.
for wheel in "$dist"/*.whl; do cp "$wheel" "$dist/tidemill.zip"; done
"$venv/bin/python" -I "$repo/deploy/bill_of_materials.py" "$repo" >"$dist/bill-of-materials.cdx.json"
if [[ ${1:-} == environment ]]; then
  tar -C "$venv" -czf "$dist/environment.tar.gz" .
  say "the archive works on machines that have $(readlink -f "$venv/bin/python")"
fi
(cd "$dist" && printf '%s\n' ./*)
