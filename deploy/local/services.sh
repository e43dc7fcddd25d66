#!/usr/bin/env bash
# A team's services on this machine, for trials and tests: PostgreSQL (Feast's registry and MLflow's database), Redis (online
# store), MLflow's server, and a Kafka broker, from the same packages as the tests' servers. Never for production: they listen
# on 127.0.0.1 only, and Kafka asks nobody who he is.
#   deploy/local/services.sh start [FOLDER]   starts them and prints the variables that --env trial reads
#   deploy/local/services.sh stop [FOLDER]    ends them; FOLDER keeps their data (default: var/services)
# TIDEMILL_PORTS=N: the first of four ports (default 25430). FOLDER must be below a path that everyone may enter.
set -euo pipefail
# shellcheck source=lib/setup.sh
source "$(dirname "${BASH_SOURCE[0]}")/../../lib/setup.sh"
# shellcheck source=lib/servers.sh
source "$repo/lib/servers.sh"

readonly HOST=127.0.0.1
action=${1:-}
folder=${2:-$repo/var/services}
first=${TIDEMILL_PORTS:-25430}
postgres_port=$first redis_port=$((first + 1)) mlflow_port=$((first + 2)) kafka_port=$((first + 3))

secret() { # NAME -> a password, made once
  [[ -s $folder/$1.secret ]] || (umask 077 && od -An -N12 -tx1 /dev/urandom | tr -d ' \n' >"$folder/$1.secret")
  cat "$folder/$1.secret"
}

as_postgres() { # COMMAND...: the server refuses to be root
  if [[ $EUID -eq 0 ]]; then setpriv --reuid=postgres --regid=postgres --init-groups -- "$@"; else "$@"; fi
}

daemon() { # NAME COMMAND...: in a session of its own, whose leader is noted
  local name=$1
  shift
  setsid "$@" </dev/null >>"$folder/$name.log" 2>&1 &
  printf '%s\n' $! >"$folder/$name.pid"
}

did_not_start() { # NAME
  fail 69 E_SETUP "$1 did not start" "$folder/$1.log" "read that file"
}

await() { # NAME PORT
  local tries
  for ((tries = 0; tries < 600; tries++)); do
    if (exec 3<>"/dev/tcp/$HOST/$2") 2>/dev/null; then return 0; fi
    sleep 0.2
  done
  did_not_start "$1"
}

start_postgres() {
  local data=$folder/postgres password
  password=$(secret postgres)
  mkdir -p "$data"
  if [[ $EUID -eq 0 ]]; then chown postgres "$data"; fi
  if [[ ! -f $data/PG_VERSION ]]; then
    (umask 077 && printf "%s" "$password" >"$folder/pwfile")
    if [[ $EUID -eq 0 ]]; then chown postgres "$folder/pwfile"; fi
    (cd / && as_postgres "$TIDEMILL_POSTGRES_BIN/initdb" -D "$data" --username=tidemill --pwfile="$folder/pwfile" \
      --auth=scram-sha-256 --encoding=UTF8 --locale=C) >>"$folder/postgres.log" 2>&1 || did_not_start postgres
    rm "$folder/pwfile"
  fi
  (cd / && as_postgres "$TIDEMILL_POSTGRES_BIN/pg_ctl" -D "$data" -w -l "$data/log" \
    -o "-p $postgres_port -c listen_addresses=$HOST -c unix_socket_directories=''" start) >>"$folder/postgres.log" 2>&1 ||
    did_not_start postgres
  local name
  for name in feast mlflow; do
    PGPASSWORD=$password "$TIDEMILL_POSTGRES_BIN/createdb" -h $HOST -p "$postgres_port" -U tidemill "$name" 2>/dev/null || true
  done
}

start_redis() {
  daemon redis "$TIDEMILL_REDIS" --port "$redis_port" --bind $HOST --requirepass "$(secret redis)" --save "" --dir "$folder"
  await redis "$redis_port"
}

start_mlflow() {
  daemon mlflow "$venv/bin/mlflow" server --host $HOST --port "$mlflow_port" --workers 1 --serve-artifacts \
    --backend-store-uri "postgresql+psycopg://tidemill:$(secret postgres)@$HOST:$postgres_port/mlflow" \
    --artifacts-destination "$folder/artifacts"
  await mlflow "$mlflow_port"
}

start_kafka() {
  local classes="$TIDEMILL_KAFKA_JARS/*" settings=$folder/kafka.properties controller=$((kafka_port + 100))
  if [[ ! -d $folder/kafka ]]; then
    cat >"$settings" <<END
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@$HOST:$controller
listeners=PLAINTEXT://$HOST:$kafka_port,CONTROLLER://$HOST:$controller
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs=$folder/kafka
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
END
    "$JAVA_HOME/bin/java" -cp "$classes" kafka.tools.StorageTool format -t AAAAAAAAAAAAAAAAAAAAAQ -c "$settings" \
      >>"$folder/kafka.log" 2>&1
  fi
  daemon kafka "$JAVA_HOME/bin/java" -Xmx256m -XX:+UseSerialGC -cp "$classes" kafka.Kafka "$settings"
  await kafka "$kafka_port"
}

stop_all() {
  local file
  for file in "$folder"/*.pid; do
    [[ -f $file ]] || continue
    kill -- "-$(<"$file")" 2>/dev/null || true
    rm -f "$file"
  done
  if [[ -f $folder/postgres/postmaster.pid ]]; then
    (cd / && as_postgres "$TIDEMILL_POSTGRES_BIN/pg_ctl" -D "$folder/postgres" -m fast -w stop) >>"$folder/postgres.log" 2>&1
  fi
}

[[ $action == start || $action == stop ]] ||
  fail 64 E_USAGE "start or stop has to be said" "first argument of deploy/local/services.sh" "deploy/local/services.sh start"
ensure_setup base java
ensure_servers
if [[ -n $TIDEMILL_NO_KAFKA$TIDEMILL_NO_POSTGRES$TIDEMILL_NO_REDIS ]]; then
  fail 69 E_SETUP "a server is missing: $TIDEMILL_NO_KAFKA $TIDEMILL_NO_POSTGRES $TIDEMILL_NO_REDIS" "$log" "install it"
fi
set_environment local
if [[ $action == stop ]]; then
  stop_all
  exit 0
fi
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
start_postgres
start_redis
start_mlflow
start_kafka
cat <<END
export TIDEMILL_TRACKING=http://$HOST:$mlflow_port
export TIDEMILL_FEAST_REGISTRY=postgresql+psycopg://tidemill:$(secret postgres)@$HOST:$postgres_port/feast
export TIDEMILL_REDIS=$HOST:$redis_port,password=$(secret redis)
export TIDEMILL_KAFKA=$HOST:$kafka_port
END
