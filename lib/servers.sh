# shellcheck shell=bash disable=SC2154  # setup.sh sets cache, repo and log
# Servers for the tests, sourced by test.sh after setup.sh: a Kafka broker's JARs below .cache, PostgreSQL, Redis and promtool
# from the system's packages. Nothing is started here; tests/servers/ does that. One that cannot be had is no error: the tests that need it are
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

# Debian's package redis-server is a service and a link: its program is redis-check-rdb of redis-tools, which is a server when
# it is called redis-server. So the tools are installed, no service is there to be kept from starting, and the link is ours.
redis_ready() { # sets redis, the server's program
  local program
  redis=$cache/redis/redis-server
  if [[ ! -x $redis ]]; then
    redis=""
    program=$(command -v redis-server || command -v redis-check-rdb) || return 1
    mkdir -p "$cache/redis" && ln -sfn "$program" "$cache/redis/redis-server" || return 1
    redis=$cache/redis/redis-server
  fi
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

promtool_ready() { # sets promtool, the program that checks rules of Prometheus
  promtool=$(command -v promtool) || promtool=$cache/prometheus/usr/bin/promtool
  [[ -x $promtool ]] || promtool=""
  [[ -n $promtool ]]
}

# Debian's package starts a server with the system: it is unpacked, not installed.
setup_promtool() {
  local sudo folder
  may_install || { no_promtool=$not_installed && return; }
  say "fetching promtool for the tests into $cache/prometheus"
  run ${sudo[@]+"${sudo[@]}"} apt-get update || true # an old list may do
  mkdir -p "$cache"
  folder=$(mktemp -d "$cache/prometheus.XXXXXX")
  # shellcheck disable=SC2016  # another shell expands it
  if run sh -c 'cd "$1" && apt-get download prometheus && dpkg-deb -x prometheus_*.deb new' sh "$folder"; then
    rm -rf "$cache/prometheus" && mv "$folder/new" "$cache/prometheus"
  else
    no_promtool="apt-get download prometheus failed, see $log"
  fi
  rm -rf "$folder"
  promtool_ready || no_promtool=${no_promtool:-the fetched one was not found}
}

setup_redis() {
  install_packages Redis redis-tools || no_redis=$not_installed
  redis_ready || no_redis=${no_redis:-the installed one was not found}
}

ensure_servers() {
  local sudo
  watch_signals
  no_kafka="" no_postgres="" no_redis="" no_promtool=""
  if ! postgres_ready && ! may_install; then no_postgres=$not_installed; fi
  if ! redis_ready && ! may_install; then no_redis=$not_installed; fi
  if ! promtool_ready && ! may_install; then no_promtool=$not_installed; fi
  if ! kafka_ready || [[ -z $postgres$no_postgres || -z $redis$no_redis || -z $promtool$no_promtool ]]; then
    lock
    kafka_ready || setup_kafka
    if ! postgres_ready && [[ -z $no_postgres ]]; then setup_postgres; fi
    if ! redis_ready && [[ -z $no_redis ]]; then setup_redis; fi
    if ! promtool_ready && [[ -z $no_promtool ]]; then setup_promtool; fi
    unlock
  fi
  unset TIDEMILL_KAFKA_JARS TIDEMILL_POSTGRES_BIN TIDEMILL_REDIS TIDEMILL_PROMTOOL
  if [[ -z $no_kafka ]]; then export TIDEMILL_KAFKA_JARS=$kafka; fi
  if [[ -n $postgres ]]; then export TIDEMILL_POSTGRES_BIN=$postgres; fi
  if [[ -n $redis ]]; then export TIDEMILL_REDIS=$redis; fi
  if [[ -n $promtool ]]; then export TIDEMILL_PROMTOOL=$promtool; fi
  export TIDEMILL_NO_KAFKA=$no_kafka TIDEMILL_NO_POSTGRES=$no_postgres TIDEMILL_NO_REDIS=$no_redis
  export TIDEMILL_NO_PROMTOOL=$no_promtool
  trap - ERR HUP INT TERM
}
