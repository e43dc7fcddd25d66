# shellcheck shell=bash disable=SC2154  # setup.sh sets cache and python
# Environments beside the base, sourced by test.sh and bench.sh after setup.sh: for what does not get along with it, such as
# orchestrators in the tests and peers in the benches. Each is made once, from a lock file with hashes.

ensure_environments() { # FOLDER LOCK_FILE...: of FOLDER/NAME for each NAME.lock
  local environments=$1 lock_file name folder
  shift
  watch_signals
  lock
  for lock_file in "$@"; do
    name=${lock_file##*/} name=${name%.lock}
    folder=$environments/$name
    if [[ -f $folder/.lock && $(<"$folder/.lock") == "$(<"$lock_file")" ]]; then continue; fi
    say "installing $name into $folder"
    rm -rf "$folder"
    need_python
    run "$python" -I -m venv "$folder" || fail_step "the environment of $name cannot be made" "read the log"
    (venv=$folder && pip --require-hashes -r "$lock_file") || fail_step "$name cannot be installed" "read the log"
    # Here rather than in the first run, which may be one that is measured; what cannot be compiled is left alone.
    run env -u PYTHONDONTWRITEBYTECODE "$folder/bin/python" -I -m compileall -q -j 0 "$folder/lib" || true
    cp "$lock_file" "$folder/.lock"
  done
  unlock
  trap - ERR HUP INT TERM
}
