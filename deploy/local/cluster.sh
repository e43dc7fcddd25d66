#!/usr/bin/env bash
# A real standalone cluster on this machine: a master and two workers, each a process of its own.
#   deploy/local/cluster.sh start [FOLDER]   starts it and prints the variable that --env trial reads
#   deploy/local/cluster.sh stop [FOLDER]    ends it; FOLDER keeps its logs (default: var/cluster)
# A worker and its executors are one process group, noted in FOLDER/worker-N.pid. TIDEMILL_MASTER_PORT: default 27077.
set -euo pipefail
# shellcheck source=lib/setup.sh
source "$(dirname "${BASH_SOURCE[0]}")/../../lib/setup.sh"

readonly HOST=127.0.0.1
action=${1:-}
folder=${2:-$repo/var/cluster}
port=${TIDEMILL_MASTER_PORT:-27077}

daemon() { # NAME CLASS ARGUMENTS...
  local name=$1
  shift
  setsid "$SPARK_HOME/bin/spark-class" "$@" </dev/null >>"$folder/$name.log" 2>&1 &
  printf '%s\n' $! >"$folder/$name.pid"
}

await() { # NAME TEXT
  local tries
  for ((tries = 0; tries < 600; tries++)); do
    if grep -q "$2" "$folder/$1.log" 2>/dev/null; then return 0; fi
    sleep 0.2
  done
  fail 69 E_SETUP "the cluster's $1 did not start" "$folder/$1.log" "read that file"
}

case $action in
  start)
    ensure_setup base java
    set_environment trial
    mkdir -p "$folder"
    folder=$(cd "$folder" && pwd)
    rm -f "$folder"/*.log
    export SPARK_DAEMON_MEMORY=256m TIDEMILL_VERBOSE=1 SPARK_LOCAL_IP=$HOST
    daemon master org.apache.spark.deploy.master.Master --host $HOST --port "$port" --webui-port $((port + 1))
    await master "I have been elected leader"
    for number in 1 2; do
      daemon "worker-$number" org.apache.spark.deploy.worker.Worker --host $HOST --cores 1 --memory 1400m \
        --webui-port $((port + 1 + number)) --work-dir "$folder/work-$number" "spark://$HOST:$port"
      await "worker-$number" "Successfully registered with master"
    done
    printf 'export TIDEMILL_MASTER=spark://%s:%s\n' $HOST "$port"
    ;;
  stop)
    for file in "$folder"/*.pid; do
      [[ -f $file ]] || continue
      kill -- "-$(<"$file")" 2>/dev/null || true
      rm -f "$file"
    done
    ;;
  *)
    fail 64 E_USAGE "start or stop has to be said" "first argument of deploy/local/cluster.sh" "deploy/local/cluster.sh start"
    ;;
esac
