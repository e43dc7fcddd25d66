#!/usr/bin/env bash
# The one way to run the tests: sets itself up, then linters and tests, in the environment that jobs run in.
#   ./test.sh                      all linters, and all tests but those behind a switch
#   ./test.sh tests/core -k time   these tests, no linters
#   ./test.sh --soak               minutes of faults; a skipped test fails the run
#   ./test.sh --orchestrators      flows in Airflow and its like, each in an environment of its own; likewise
#   ./test.sh --cluster            the pipeline on a standalone cluster with real services; likewise
#   ./test.sh --no-skips           as without, and a skipped test fails the run: what CI calls
set -euo pipefail
# shellcheck source=lib/setup.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/setup.sh"
# shellcheck source=lib/servers.sh
source "$repo/lib/servers.sh"
# shellcheck source=lib/environments.sh
source "$repo/lib/environments.sh"

s3=yes # some tests have tables there, wherever this shell's caller has his
unset TIDEMILL_TABLES
strict=""
switch=""
marks="not soak and not orchestrators and not cluster"
case ${1:-} in
  -h | --help)
    sed -n '2,8s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
    exit 0
    ;;
  --soak | --orchestrators | --cluster)
    strict=yes
    switch=$1
    marks=${1#--}
    shift
    ;;
  --no-skips)
    strict=yes
    shift
    ;;
esac

ensure_setup dev java
ensure_servers
if [[ $switch == --orchestrators ]]; then
  export TIDEMILL_ORCHESTRATORS=$cache/orchestrators
  ensure_environments "$TIDEMILL_ORCHESTRATORS" "$repo"/tests/orchestration/locks/*.lock
fi
# A test's JVM lives for minutes and computes little: compiling lightly saves a quarter of it.
# Delta keeps all that it knows of ten thousand tables for an hour, and tests make hundreds: the heap would be full of it.
set_environment local "-XX:TieredStopAtLevel=1" "-Ddelta.log.cacheSize=16"
cd "$repo"

# What was asked for has to run: with a switch, a skipped test fails.
results=$(mktemp -d)
whole_runs=""
trap '[[ -z $whole_runs ]] || kill "$whole_runs" 2>/dev/null || true; rm -rf "$results"' EXIT
tests() { # NAME ARGUMENTS...
  local name=$1
  shift
  "$venv/bin/python" -P -m pytest -m "$marks" --junit-xml="$results/$name.xml" "$@"
}

status=0
if [[ -z $switch && $# -eq 0 ]]; then
  failed=""
  check() { # NAME COMMAND...
    local name=$1
    shift
    printf '== %s\n' "$name"
    "$@" || failed+="${failed:+, }$name"
  }
  check "ruff check" "$venv/bin/ruff" check .
  check "ruff format" "$venv/bin/ruff" format --check .
  check "mypy" "$venv/bin/mypy"
  check "lint-imports" "$venv/bin/lint-imports"
  if [[ -n $failed ]]; then
    printf 'failed before any test ran: %s\n' "$failed" >&2
    exit 1
  fi
  # Two halves side by side: a session of Spark on small data keeps one core busy, and waits for the disk.
  half=(tests/e2e tests/serving tests/bench)
  printf '== pytest %s, and beside it pytest of all else\n' "${half[*]}"
  slowest=(--durations=15 --durations-min=10)
  tests whole "${half[@]}" "${slowest[@]}" >"$results/whole.txt" 2>&1 &
  whole_runs=$!
  tests rest "${half[@]/#/--ignore=}" "${slowest[@]}" || status=$?
  wait "$whole_runs" || status=$?
  whole_runs=""
  cat "$results/whole.txt"
else
  tests asked "$@" || status=$?
fi
if [[ $status -eq 0 && -n $strict ]] && grep -l 'type="pytest.skip"' "$results"/*.xml >/dev/null; then
  printf 'failed: a test was skipped, and nothing may be\n' >&2
  status=1
fi
exit "$status"
