#!/usr/bin/env bash
# The one way to run the tests: sets itself up, then linters and tests, in the environment that jobs run in.
#   ./test.sh                      all linters, and all tests but those behind a switch
#   ./test.sh tests/core -k time   these tests, no linters
#   ./test.sh --soak               minutes of faults; a skipped test fails the run
set -euo pipefail
# shellcheck source=lib/setup.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/setup.sh"
# shellcheck source=lib/servers.sh
source "$repo/lib/servers.sh"

strict=""
marks="not soak"
case ${1:-} in
  -h | --help)
    sed -n '2,5s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
    exit 0
    ;;
  --soak)
    strict=yes
    marks=soak
    shift
    ;;
esac

ensure_setup dev java
ensure_servers
# A test's JVM lives for minutes and computes little: compiling lightly saves a quarter of it.
set_environment local "-XX:TieredStopAtLevel=1"
cd "$repo"

if [[ -z $strict && $# -eq 0 ]]; then
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
  printf '== pytest tests/e2e, and beside it pytest of all else\n'
  whole=$(mktemp)
  trap 'kill "$whole_runs" 2>/dev/null || true; rm -f "$whole"' EXIT
  status=0
  "$venv/bin/python" -P -m pytest -m "$marks" tests/e2e >"$whole" 2>&1 &
  whole_runs=$!
  "$venv/bin/python" -P -m pytest -m "$marks" --ignore=tests/e2e || status=$?
  wait "$whole_runs" || status=$?
  cat "$whole"
  exit "$status"
fi

if [[ -z $strict ]]; then
  exec "$venv/bin/python" -P -m pytest -m "$marks" "$@"
fi

# Behind a switch nothing may be skipped: whoever asks for these tests wants to know that they ran.
results=$(mktemp)
trap 'rm -f "$results"' EXIT
status=0
"$venv/bin/python" -P -m pytest -m "$marks" --junit-xml="$results" "$@" || status=$?
if [[ $status -eq 0 ]] && grep -q 'type="pytest.skip"' "$results"; then
  printf 'failed: a test behind --%s was skipped\n' "$marks" >&2
  status=1
fi
exit "$status"
