#!/usr/bin/env bash
# Stands in for spark-submit.sh: notes its words, fails once with the exit code that a file asks for, and skips what it has
# done, as the jobs do.
set -euo pipefail
job=$1 words="$*"
while [[ $1 != --root ]]; do shift; done
root=$2
printf '%s\n' "$words" >>"$root/calls"
if [[ -e $root/fails/$job ]]; then
  code=$(<"$root/fails/$job")
  rm "$root/fails/$job"
  echo "error: E_FAKE it was asked to fail" >&2
  exit "$code"
fi
status=ok
[[ ! -e $root/done/$job ]] || status=skipped
touch "$root/done/$job"
printf 'set-up says something\n{"job": "%s", "status": "%s"}\n' "$job" "$status"
