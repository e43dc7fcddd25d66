#!/usr/bin/env bash
# For maintainers: makes the lock files anew from pyproject.toml, the .in files of tests/orchestration/locks and bench/peers,
# conf/ivy.xml, conf/ivy-s3.xml and tests/servers/kafka.xml. Needs uv, a network and a finished set-up.
# Versions that are locked stay unless pyproject.toml forbids them; ./lib/relock.sh --upgrade takes the newest.
set -euo pipefail
# shellcheck source=lib/setup.sh
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"

cd "$repo"
compile() { # OUTPUT OPTIONS...
  local output=$1
  shift
  # Hashes, and nothing of where it was made: no index, no folder of links, no path.
  env -u UV_FIND_LINKS -u PIP_FIND_LINKS uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
    --no-emit-index-url --custom-compile-command ./lib/relock.sh "$@" --output-file "$output"
}
compile requirements.lock --group build "$@" pyproject.toml
# What the base has, the tests have too: the same versions.
compile requirements-dev.lock --group build --group dev --constraints requirements.lock "$@" pyproject.toml
for wanted in tests/orchestration/locks/*.in bench/peers/*/*.in; do compile "${wanted%.in}.lock" "$@" "$wanted"; done

find_java || fail 69 E_JAVA "no Java $JAVA_NEEDED was found" "JAVA_HOME, PATH" "$(how_to_install java)"
: >>"$log"
lock_jars() { # WHAT IVY_FILE LOCK_FILE
  local new=$cache/jars/.lock
  resolve_jars "$repo/$2" "$new" || fail_step "$1 cannot be fetched" "read the log"
  (
    printf '# %s, as %s resolves them: SHA-256 and name. Made by ./lib/relock.sh\n' "$1" "$2"
    cd "$new"
    for file in *.jar; do printf '%s  %s\n' "$(digest <"$file")" "$file"; done
  ) >"$3"
  rm -rf "$new" "$cache/ivy"
}
lock_jars "The JARs beside pyspark's" conf/ivy.xml jars.lock
lock_jars "The JARs that Spark needs for tables in S3" conf/ivy-s3.xml jars-s3.lock
lock_jars "Kafka's JARs for the tests" tests/servers/kafka.xml tests/servers/kafka.lock
