#!/usr/bin/env bash
# Spark's launcher reads this file before it becomes the JVM that a job starts (not before the job itself).
# Standard output belongs to the job, so what the JVM prints there goes to standard error; and the line with which Java
# announces a module that Spark always asks for is left out, every other one passes.
exec 1>&2
if [[ ${TIDEMILL_VERBOSE:-} != 1 ]]; then
  exec 2> >(trap '' INT TERM HUP && LC_ALL=C exec grep --line-buffered -a -v -x 'WARNING: Using incubator modules: jdk.incubator.vector' >&2)
fi
# A folder on the class path would keep the JVM from using its class archive. Nothing in this one is meant for the JVM.
export SPARK_CONF_DIR=$SPARK_CONF_DIR/none
