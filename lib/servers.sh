# shellcheck shell=bash disable=SC2154  # setup.sh sets cache, repo and log
# Servers for the tests, sourced by test.sh after setup.sh: a Kafka broker's JARs below .cache, and from the system's packages
# PostgreSQL, Redis, Prometheus with its Alertmanager and Pushgateway, and Chromium. Nothing is started here; tests/servers/ does
# that. One that cannot be had is no error: the tests that need it are skipped with the reason, which reaches them in a variable.

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

readonly PROMETHEUS_PACKAGES=(prometheus prometheus-alertmanager prometheus-pushgateway)
readonly TEMPLATES=/usr/share/prometheus/alertmanager # where Debian's Alertmanager looks for its own, and nowhere else

prometheus_ready() { # sets prometheus, the folder with the programs of those packages
  local program folder
  prometheus=""
  [[ -e ${TIDEMILL_TEMPLATES:-$TEMPLATES}/default.tmpl ]] || return 1
  for folder in "$(dirname "$(command -v prometheus-alertmanager || true)")" "$cache/prometheus/usr/bin"; do
    for program in promtool "${PROMETHEUS_PACKAGES[@]}"; do [[ -x $folder/$program ]] || continue 2; done
    prometheus=$folder && break
  done
  [[ -n $prometheus ]]
}

# Debian's packages start servers with the system: they are unpacked, not installed, and only Alertmanager's templates go
# where they belong.
setup_prometheus() {
  local sudo folder package templates=${TIDEMILL_TEMPLATES:-$TEMPLATES}
  may_install || { no_prometheus=$not_installed && return; }
  say "fetching Prometheus for the tests into $cache/prometheus"
  run ${sudo[@]+"${sudo[@]}"} apt-get update || true # an old list may do
  mkdir -p "$cache"
  folder=$(mktemp -d "$cache/prometheus.XXXXXX")
  # shellcheck disable=SC2016  # another shell expands it
  if run sh -c 'cd "$1" && shift && apt-get download "$@"' sh "$folder" "${PROMETHEUS_PACKAGES[@]}"; then
    for package in "$folder"/*.deb; do
      run dpkg-deb -x "$package" "$folder/new" || no_prometheus="${package##*/} cannot be unpacked, see $log"
    done
  else
    no_prometheus="apt-get download ${PROMETHEUS_PACKAGES[*]} failed, see $log"
  fi
  if [[ -z $no_prometheus ]]; then
    rm -rf "$cache/prometheus" && mv "$folder/new" "$cache/prometheus"
    # shellcheck disable=SC2016  # another shell expands it
    run ${sudo[@]+"${sudo[@]}"} sh -c '[ -e "$2" ] || { mkdir -p "$2" && cp -R "$1/." "$2"; }' \
      sh "$cache/prometheus$TEMPLATES" "$templates" ||
      no_prometheus="Alertmanager's templates cannot be put into $templates, see $log"
  fi
  rm -rf "$folder"
  prometheus_ready || no_prometheus=${no_prometheus:-the fetched one was not found}
}

chromium_ready() { # sets chromium, a browser that needs no screen
  local program
  chromium=""
  for program in chromium-headless-shell chromium google-chrome; do
    chromium=$(command -v "$program") && break
  done
  [[ -n $chromium ]]
}

setup_chromium() {
  install_packages Chromium chromium-headless-shell || no_chromium=$not_installed
  chromium_ready || no_chromium=${no_chromium:-the installed one was not found}
}

setup_redis() {
  install_packages Redis redis-tools || no_redis=$not_installed
  redis_ready || no_redis=${no_redis:-the installed one was not found}
}

ensure_servers() {
  local sudo
  watch_signals
  no_kafka="" no_postgres="" no_redis="" no_prometheus="" no_chromium=""
  if ! postgres_ready && ! may_install; then no_postgres=$not_installed; fi
  if ! redis_ready && ! may_install; then no_redis=$not_installed; fi
  if ! prometheus_ready && ! may_install; then no_prometheus=$not_installed; fi
  if ! chromium_ready && ! may_install; then no_chromium=$not_installed; fi
  if ! kafka_ready || [[ -z $postgres$no_postgres || -z $redis$no_redis ]] ||
    [[ -z $prometheus$no_prometheus || -z $chromium$no_chromium ]]; then
    lock
    kafka_ready || setup_kafka
    if ! postgres_ready && [[ -z $no_postgres ]]; then setup_postgres; fi
    if ! redis_ready && [[ -z $no_redis ]]; then setup_redis; fi
    if ! prometheus_ready && [[ -z $no_prometheus ]]; then setup_prometheus; fi
    if ! chromium_ready && [[ -z $no_chromium ]]; then setup_chromium; fi
    unlock
  fi
  unset TIDEMILL_KAFKA_JARS TIDEMILL_POSTGRES_BIN TIDEMILL_REDIS TIDEMILL_PROMETHEUS_BIN TIDEMILL_CHROMIUM
  if [[ -z $no_kafka ]]; then export TIDEMILL_KAFKA_JARS=$kafka; fi
  if [[ -n $postgres ]]; then export TIDEMILL_POSTGRES_BIN=$postgres; fi
  if [[ -n $redis ]]; then export TIDEMILL_REDIS=$redis; fi
  if [[ -n $prometheus ]]; then export TIDEMILL_PROMETHEUS_BIN=$prometheus; fi
  if [[ -n $chromium ]]; then export TIDEMILL_CHROMIUM=$chromium; fi
  export TIDEMILL_NO_KAFKA=$no_kafka TIDEMILL_NO_POSTGRES=$no_postgres TIDEMILL_NO_REDIS=$no_redis
  export TIDEMILL_NO_PROMETHEUS=$no_prometheus TIDEMILL_NO_CHROMIUM=$no_chromium
  trap - ERR HUP INT TERM
}
