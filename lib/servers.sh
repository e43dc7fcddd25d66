# shellcheck shell=bash disable=SC2154  # setup.sh sets cache, repo and log
# Servers for the tests, sourced by test.sh after setup.sh: a Kafka broker's JARs below .cache, PostgreSQL from the system's
# packages. Nothing is started here; tests/servers/ does that. One that cannot be had is no error: the tests that need it are
# skipped with the reason, which reaches them in a variable.

readonly POSTGRES_DIRS=/usr/lib/postgresql

kafka_ready() { # sets kafka, the folder with the broker's JARs
  kafka=$cache/kafka/$(digest <"$repo/tests/servers/kafka.lock" | cut -c1-16)
  [[ -d $kafka ]]
}

postgres_ready() { # sets postgres, the folder with the server's programs; Debian keeps them off PATH, others do not
  local program
  postgres=""
  for program in "${TIDEMILL_POSTGRES_DIRS:-$POSTGRES_DIRS}"/*/bin/initdb "$(command -v initdb || true)"; do
    if [[ -z $postgres && -x $program ]]; then postgres=$(dirname "$(readlink -f "$program")"); fi
  done
  [[ -n $postgres ]]
}

setup_kafka() {
  say "fetching Kafka for the tests into $cache/kafka"
  fetch_jars "$repo/tests/servers/kafka.xml" "$repo/tests/servers/kafka.lock" "$kafka" ||
    no_kafka="its JARs cannot be fetched, see $log"
}

setup_postgres() {
  local sudo
  # The package would make a database of its own and start it with the system. Where the setting's file is there already, it
  # is somebody's decision; and another place to look for servers means that this system is not to be touched.
  if may_install && [[ -z ${TIDEMILL_POSTGRES_DIRS:-} ]]; then
    # shellcheck disable=SC2016  # another shell expands it
    run ${sudo[@]+"${sudo[@]}"} sh -c 'file=/etc/postgresql-common/createcluster.conf
      [ -e "$file" ] || { mkdir -p "${file%/*}" &&
        printf "# The tests of tidemill need the programs only.\ncreate_main_cluster = false\n" >"$file"; }' || true
  fi
  install_packages PostgreSQL postgresql || no_postgres=$not_installed
  postgres_ready || no_postgres=${no_postgres:-the installed one was not found}
}

ensure_servers() {
  local sudo
  watch_signals
  no_kafka="" no_postgres=""
  if ! postgres_ready && ! may_install; then no_postgres=$not_installed; fi
  if ! kafka_ready || [[ -z $postgres && -z $no_postgres ]]; then
    lock
    kafka_ready || setup_kafka
    postgres_ready || setup_postgres
    unlock
  fi
  unset TIDEMILL_KAFKA_JARS TIDEMILL_POSTGRES_BIN
  if [[ -z $no_kafka ]]; then export TIDEMILL_KAFKA_JARS=$kafka; fi
  if [[ -n $postgres ]]; then export TIDEMILL_POSTGRES_BIN=$postgres; fi
  export TIDEMILL_NO_KAFKA=$no_kafka TIDEMILL_NO_POSTGRES=$no_postgres
  trap - ERR HUP INT TERM
}
