#!/usr/bin/env bash
# A cluster and a team's services on this machine, by one call: what services.sh and cluster.sh do.
#   deploy/local/trial.sh start [FOLDER]   starts both and prints the variables that --env trial reads
#   deploy/local/trial.sh stop [FOLDER]    ends both; FOLDER keeps their data and logs (default: var/trial)
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
folder=${2:-$here/../../var/trial}

case ${1:-} in
  start)
    "$here/services.sh" start "$folder/services"
    "$here/cluster.sh" start "$folder/cluster"
    ;;
  stop)
    "$here/cluster.sh" stop "$folder/cluster"
    "$here/services.sh" stop "$folder/services"
    ;;
  *)
    printf 'error: %s\n  where: %s\n  next: %s\n' "E_USAGE start or stop has to be said" \
      "first argument of deploy/local/trial.sh" "deploy/local/trial.sh start" >&2
    exit 64
    ;;
esac
