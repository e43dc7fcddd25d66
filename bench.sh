#!/usr/bin/env bash
# The one way to measure: ./bench.sh NAME [--size small|full] [--what WORDS]. Sets itself up, then runs bench/NAME.py in the
# environment that jobs run in; alone it lists the names.
set -euo pipefail
# shellcheck source=lib/setup.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/setup.sh"
# shellcheck source=lib/environments.sh
source "$repo/lib/environments.sh"

names=()
for file in "$repo"/bench/*.py; do
  name=${file##*/} name=${name%.py}
  if [[ -f $file && $name != _* && $name != harness ]]; then names+=("$name"); fi
done
name_list=${names[*]-}
name_list=${name_list// /, }

usage() {
  cat <<END_OF_USAGE
usage: ./bench.sh NAME [--size small|full] [--what WORDS]

names:
END_OF_USAGE
  for name in ${names[@]+"${names[@]}"}; do
    printf '  %-16s %s\n' "$name" "$(sed -n '1s/^"""\([^"]*\).*/\1/p' "$repo/bench/$name.py")"
  done
  cat <<END_OF_USAGE

full, the default, judges the targets, takes up to ninety minutes and writes bench/results/NAME.json. small takes less than
two, judges nothing, and leaves some out. --what measures only the contestants whose name has these words, at any size.
Peers that cannot live beside us are installed below .cache, each once, when they are going to run.
A machine that does nothing else gives the best figures. The last line of standard output is one JSON object; the exit code
is 0 where every target holds.
END_OF_USAGE
}

case ${1:-} in
  "" | -h | --help | help)
    usage
    exit 0
    ;;
esac

name=$1
if [[ ! $name =~ ^[a-z][a-z0-9_]*$ || " ${names[*]-} " != *" $name "* ]]; then
  nearest "$name" ${names[@]+"${names[@]}"}
  fail 64 E_USAGE "there is no bench \"$name\"${nearest_found:+; did you mean \"$nearest_found\"?}" \
    "first argument of ./bench.sh" "name one of: $name_list"
fi

ensure_setup dev java
# Peers that cannot live beside us: each that is going to run, which is all of them at full size, and those that --what names.
wanted=()
for file in "$repo/bench/peers/$name"/*.lock; do
  [[ -f $file ]] || continue
  peer=${file##*/} peer=${peer%.lock}
  case " $* " in
    *" --what"*"$peer"*) wanted+=("$file") ;;
    *" --what"* | *" --size small "* | *" --size=small "*) ;;
    *) wanted+=("$file") ;;
  esac
done
export TIDEMILL_PEERS=$cache/peers/$name
[[ ${#wanted[@]} -eq 0 ]] || ensure_environments "$TIDEMILL_PEERS" "${wanted[@]}"
options=()
case " $* " in
  # Small data are about whether all works, and end before the JVM has compiled well: compiling lightly saves time.
  *" --size small "* | *" --size=small "*) options=("-XX:TieredStopAtLevel=1") ;;
esac
set_environment local ${options[@]+"${options[@]}"}
shift
exec "$venv/bin/python" -P "$repo/bench/$name.py" "$@"
