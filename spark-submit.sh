#!/usr/bin/env bash
# The one way to run a job: ./spark-submit.sh JOB [OPTIONS]. Sets itself up on first use; --help says more.
#
# The job's Python is this process, and it starts Spark's JVM through Spark's spark-submit when the first session is made.
# The other way round, the JVM would pour the job's standard error into its standard output, and answer signals for it.
set -euo pipefail
# shellcheck source=lib/setup.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib/setup.sh"

jobs=()
for file in "$repo"/jobs/*.py; do
  name=${file##*/} name=${name%.py}
  if [[ -f $file && $name != _* ]]; then jobs+=("$name"); fi
done
job_list=${jobs[*]-}
job_list=${job_list// /, }

usage() {
  cat <<END
usage: ./spark-submit.sh JOB [--use-case NAME] [--repo DIR] [--env local] [--root var]
                             [--as-of T | --from T --until T] [--set key=value ...] [--rebuild] [--dry-run] [--json]

jobs:
END
  for name in ${jobs[@]+"${jobs[@]}"}; do
    printf '  %-16s %s\n' "$name" "$(sed -n '1s/^"""\([^"]*\).*/\1/p' "$repo/jobs/$name.py")"
  done
  cat <<END

./spark-submit.sh JOB --help explains a job's options. Environments (--env): $(known_environments).

The first call installs what is needed below this folder (.venv, .cache), later ones need no network. Variables:
  TIDEMILL_VENV=DIR       the virtual environment (default: .venv)
  TIDEMILL_PYTHON=FILE    the Python to make it with ($PYTHON_NEEDED)
  TIDEMILL_JARS=DIR       a folder with the files of jars.lock, for machines without a network
  TIDEMILL_TABLES=URL     where the tables of a new root lie, for instance s3://BUCKET/FOLDER (default: below the root)
  TIDEMILL_MASTER=URL     the cluster's master, in place of the one in conf/spark/ENV.conf
  TIDEMILL_NO_INSTALL=1   install no system package (Java, Python's venv; for the tests PostgreSQL)
  TIDEMILL_VERBOSE=1      show what Spark's JVM says, on standard error
END
}

case ${1:-} in
  -h | --help | help)
    usage
    exit 0
    ;;
esac

[[ $# -eq 0 || ${1:-} == -* ]] || job=$1
read_arguments "$@"
if [[ -z $job ]]; then
  fail 64 E_USAGE "no job is named" "usage: ./spark-submit.sh JOB [OPTIONS]" \
    "name one of: $job_list (./spark-submit.sh --help says more)"
fi
if [[ ! $job =~ ^[a-z][a-z0-9_]*$ || ! -f $repo/jobs/$job.py ]]; then
  nearest "$job" ${jobs[@]+"${jobs[@]}"}
  fail 64 E_USAGE "there is no job \"$job\"${nearest_found:+; did you mean \"$nearest_found\"?}" \
    "first argument of ./spark-submit.sh" "name one of: $job_list"
fi
check_environment "./spark-submit.sh"

ensure_setup base java
set_environment "$environment"
shift
# -P: a job's neighbours must not hide installed modules of the same name.
exec "$venv/bin/python" -P "$repo/jobs/$job.py" "$@"
