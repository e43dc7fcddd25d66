#!/usr/bin/env bash
# Basic version.
set -euo pipefail
repo=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
job=$1; shift
venv=${TIDEMILL_VENV:-$repo/.venv}
export JAVA_HOME=/usr/lib/jvm/java-17-openjdk-amd64 SPARK_HOME=$venv/lib/python3.11/site-packages/pyspark
export PYSPARK_PYTHON=$venv/bin/python PYSPARK_DRIVER_PYTHON=$venv/bin/python
export PYTHONPATH=$repo/lib:$repo${PYTHONPATH:+:$PYTHONPATH} TZ=UTC LC_ALL=C.UTF-8 OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
export MLFLOW_ALLOW_PICKLE_DESERIALIZATION=false MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false FEAST_USAGE=False DO_NOT_TRACK=true GIT_PYTHON_REFRESH=quiet
export TIDEMILL_JARS=${TIDEMILL_JARS:-$repo/.cache/jars/early}
exec "$SPARK_HOME/bin/spark-submit" --properties-file "$repo/conf/spark/local.conf" \
  --driver-class-path "$TIDEMILL_JARS/*" \
  --driver-java-options "-Dlog4j2.configurationFile=file:$repo/conf/log4j2.properties -Duser.timezone=UTC -Duser.language=en -Duser.country=US" \
  "$repo/jobs/$job.py" "$@"
