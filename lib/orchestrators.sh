# shellcheck shell=bash disable=SC2154  # setup.sh sets cache and repo
# Orchestrators for the tests, sourced by test.sh after setup.sh: each in an environment of its own below .cache, since they
# do not get along with one another or with the base. Made once, from a lock file with hashes.

ensure_orchestrators() { # exports TIDEMILL_ORCHESTRATORS
  local lock_file name folder
  export TIDEMILL_ORCHESTRATORS=$cache/orchestrators
  watch_signals
  lock
  for lock_file in "$repo"/tests/orchestration/locks/*.lock; do
    name=${lock_file##*/} name=${name%.lock}
    folder=$TIDEMILL_ORCHESTRATORS/$name
    if [[ -f $folder/.lock && $(<"$folder/.lock") == "$(<"$lock_file")" ]]; then continue; fi
    say "installing $name into $folder"
    rm -rf "$folder"
    need_python
    run "$python" -I -m venv "$folder" || fail_step "the environment of $name cannot be made" "read the log"
    (venv=$folder && pip --require-hashes -r "$lock_file") || fail_step "$name cannot be installed" "read the log"
    cp "$lock_file" "$folder/.lock"
  done
  unlock
  trap - ERR HUP INT TERM
}
