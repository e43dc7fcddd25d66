# shellcheck shell=bash
# Set-up and environment, sourced by spark-submit.sh, test.sh and tidemill. What it promises:
# - one call from a bare machine to a running job, and a second call that does nothing but compare two stamps;
# - whatever stops it half-way, the next call finishes the work; two at once wait for each other;
# - every error is three lines on standard error: what, where, next. Standard output is the job's alone.

set -Eeuo pipefail
umask 022

# Raise it when the steps below change, so that environments made by older ones are brought up to date.
readonly SETUP_VERSION=1
readonly PYTHON_NEEDED="3.11, 3.12 or 3.13"
readonly JAVA_NEEDED="17 or 21"
readonly JAVA_DIRS=/usr/lib/jvm:/usr/java:/opt/java:/Library/Java/JavaVirtualMachines:/opt/homebrew/opt:/usr/local/opt

repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
cache=$repo/.cache
venv=${TIDEMILL_VENV:-$repo/.venv}
[[ $venv == /* ]] || venv=$PWD/$venv
log=$cache/setup.log
job=""    # for the JSON line of an error
json=""   # not empty: the caller asked for --json
child=""  # what a signal has to end first
jars=""   # the folder with the JARs that jobs need
s3_jars="" # the folder with those that Spark needs for tables in S3, where they are wanted
s3=""     # not empty: they are
java=""   # the folder of the Java that was found

# ---------------------------------------------------------------------------------------------- errors and signals

say() { printf 'tidemill: %s\n' "$*" >&2; }

json_text() { # TEXT -> a JSON string
  local text=$1
  text=${text//\\/\\\\}
  text=${text//\"/\\\"}
  printf '"%s"' "$text"
}

fail() { # EXIT_CODE E_CODE WHAT WHERE NEXT
  trap - ERR
  # Three lines whatever was typed: a control character in an argument is a blank here.
  set -- "$1" "$2" "${3//[[:cntrl:]]/ }" "${4//[[:cntrl:]]/ }" "${5//[[:cntrl:]]/ }"
  printf 'error: %s %s\n  where: %s\n  next: %s\n' "$2" "$3" "$4" "$5" >&2
  if [[ -n $json ]]; then
    printf '{"job": %s, "status": "failed", "error": {"code": %s, "what": %s, "where": %s, "next": %s}}\n' \
      "$(json_text "$job")" "$(json_text "$2")" "$(json_text "$3")" "$(json_text "$4")" "$(json_text "$5")"
  fi
  exit "$1"
}

unexpected() { # LINE
  [[ $BASH_SUBSHELL -eq 0 ]] || return 0 # the parent shell reports it
  fail 70 E_BUG "the set-up stopped unexpectedly" "${BASH_SOURCE[1]}:$1" "please report it with $log, if that exists"
}

interrupted() { # EXIT_CODE
  trap '' INT TERM HUP
  trap - ERR
  if [[ -n $child ]]; then
    kill "$child" 2>/dev/null || true
    wait "$child" 2>/dev/null || true
  fi
  exit "$1"
}

watch_signals() {
  trap 'unexpected $LINENO' ERR
  trap 'interrupted 129' HUP
  trap 'interrupted 130' INT
  trap 'interrupted 143' TERM
}

# Runs a long command so that a signal reaches it at once: bash waits for a foreground command before it runs a trap.
run() { # COMMAND...
  local status=0
  "$@" </dev/null >>"$log" 2>&1 &
  child=$!
  wait "$child" || status=$?
  child=""
  return "$status"
}

# What a failed step means is in what it wrote: a full disk and a dead network ask for different things.
fail_step() { # WHAT NEXT_WHERE_NOTHING_ELSE_IS_KNOWN
  local what=$1 next=$2
  if grep -qiE 'no space left on device|errno 28\b|disk quota exceeded' "$log"; then
    fail 74 E_DISK "$what: the disk is full" "$venv and $cache (log: $log)" \
      "free 4 GB there, or name another folder with TIDEMILL_VENV, and run the same command again"
  elif grep -qiE 'permission denied|errno 13\b|read-only file system' "$log"; then
    fail 74 E_PERMISSION "$what: something may not be written" "log: $log" \
      "make $repo and $venv writable for $(id -un), and run the same command again"
  elif grep -qiE 'do not match the hashes|hashes are required' "$log"; then
    fail 69 E_INTEGRITY "$what: the registry serves another file than the locked one" "log: $log" \
      "do not use what was fetched; ask who runs your package mirror"
  elif grep -qiE 'NewConnectionError|ConnectionError|connection (refused|reset|timed out|aborted)|name resolution|name or service not known|nodename nor servname|host not found|unknown ?host|network is unreachable|timed ?out|proxyerror|sslerror|certificate' "$log"; then
    fail 69 E_NETWORK "$what: the package registry cannot be reached" "log: $log" \
      "check network, proxy and certificates, and run the same command again: it goes on where it stopped"
  fi
  fail 69 E_SETUP "$what" "log: $log" "$next"
}

# ------------------------------------------------------------------------------------------------------ what is there

digest() { # standard input -> SHA-256
  if command -v sha256sum >/dev/null; then sha256sum | cut -d' ' -f1; else shasum -a 256 | cut -d' ' -f1; fi
}

stamp_text() { # base | dev -> what the stamp of an environment that is up to date says
  local lock=$repo/requirements.lock
  [[ $1 == base ]] || lock=$repo/requirements-dev.lock
  # The project's own table counts too: its version and entry points are installed. So does the place: scripts hold it.
  printf 'set-up %s %s %s at %s\n' "$SETUP_VERSION" "$1" \
    "$({ cat "$lock" && sed -n '/^\[project/,/^\[dependency-groups/p' "$repo/pyproject.toml"; } | digest)" "$venv"
}

venv_ready() { # base | dev
  local stamp=$venv/.tidemill-$1
  [[ -x $venv/bin/python && -f $stamp ]] && [[ $(<"$stamp") == "$(stamp_text "$1")" ]]
}

jars_ready() { # sets jars and s3_jars
  jars=$cache/jars/$(digest <"$repo/jars.lock" | cut -c1-16)
  if [[ -n ${TIDEMILL_JARS:-} && $TIDEMILL_JARS != "$jars" ]]; then # and not what a job that calls this one was given
    jars=$(cd "$TIDEMILL_JARS" 2>/dev/null && pwd) || jars=$TIDEMILL_JARS
    compgen -G "$jars/*delta-spark_*.jar" >/dev/null ||
      fail 78 E_JARS "no Delta JAR in the folder that TIDEMILL_JARS names" "$TIDEMILL_JARS" \
        "put the files of jars.lock there, or unset TIDEMILL_JARS"
    [[ -z $s3 ]] || compgen -G "$jars/*hadoop-aws-*.jar" >/dev/null ||
      fail 78 E_JARS "tables lie in S3, and its client is not in the folder that TIDEMILL_JARS names" "$TIDEMILL_JARS" \
        "put the files of jars-s3.lock there, too, or unset TIDEMILL_JARS"
    return 0
  fi
  [[ -z $s3 ]] || s3_jars=$cache/jars/$(digest <"$repo/jars-s3.lock" | cut -c1-16)
  [[ -d $jars && (-z $s3_jars || -d $s3_jars) ]]
}

# Java: the first usable of JAVA_HOME, the one on PATH, and the usual folders, 17 before 21. A newer default does not win.

java_major() { # JAVA_HOME -> major version, in java_found; fails where Spark cannot run on it
  local home=$1 line vector="" version=""
  java_found=""
  [[ -x $home/bin/java ]] || return 1
  if [[ -r $home/release ]]; then # every JDK has this file; reading it saves starting a JVM
    while IFS= read -r line; do
      case $line in
        JAVA_VERSION=*) version=${line#*=} && version=${version//\"/} ;;
        MODULES=*jdk.incubator.vector*) vector=yes ;;
        MODULES=*) vector=no ;;
      esac
    done <"$home/release"
  fi
  if [[ -z $version ]]; then
    version=$("$home/bin/java" -version 2>&1 | sed -n 's/.* version "\([^"]*\)".*/\1/p' | head -n 1) || return 1
  fi
  if [[ -z $vector ]]; then # some run-time images leave the module out that Spark asks for
    "$home/bin/java" --list-modules 2>/dev/null | grep -q '^jdk.incubator.vector' || return 1
  fi
  [[ $vector != no ]] || return 1
  java_found=${version%%.*}
  [[ $java_found == 17 || $java_found == 21 ]]
}

find_java() { # exports JAVA_HOME
  local places place home on_path second=""
  java=""
  if [[ -n ${JAVA_HOME:-} ]] && java_major "$JAVA_HOME"; then java=$JAVA_HOME; fi
  if [[ -z $java ]] && on_path=$(command -v java); then
    home=$(dirname "$(dirname "$(readlink -f "$on_path" 2>/dev/null || printf '%s' "$on_path")")")
    if java_major "$home"; then java=$home; fi
  fi
  if [[ -z $java ]]; then
    IFS=: read -r -a places <<<"${TIDEMILL_JAVA_DIRS:-$JAVA_DIRS}"
    for place in ${places[@]+"${places[@]}"}; do
      for home in "$place" "$place"/* "$place"/*/Contents/Home "$place"/openjdk*/libexec/openjdk.jdk/Contents/Home; do
        if ! java_major "$home"; then continue; fi
        if [[ $java_found == 17 ]]; then
          java=$home
          break 2
        fi
        second=${second:-$home}
      done
    done
    java=${java:-$second}
  fi
  [[ -n $java ]] || return 1
  export JAVA_HOME=$java
}

python_suits() { # PYTHON -> python_version
  python_version=$("$1" -I -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null) || return 1
  case $python_version in 3.11 | 3.12 | 3.13) ;; *) return 1 ;; esac
}

find_python() { # sets python and has_ensurepip
  local name found
  python="" has_ensurepip=""
  if [[ -n ${TIDEMILL_PYTHON:-} ]]; then
    python_version=""
    python_suits "$TIDEMILL_PYTHON" ||
      fail 78 E_PYTHON "Python $PYTHON_NEEDED is needed, and TIDEMILL_PYTHON is ${python_version:-none}" "$TIDEMILL_PYTHON" \
        "name another interpreter with TIDEMILL_PYTHON, or unset it"
    python=$TIDEMILL_PYTHON
    if "$python" -I -c 'import ensurepip, venv' 2>/dev/null; then has_ensurepip=yes; fi
    return 0
  fi
  for name in python3.11 python3.12 python3.13 python3; do
    # All of one name on PATH: a version manager's stub may stand in front of a working one.
    while IFS= read -r found; do
      python_suits "$found" || continue
      if "$found" -I -c 'import ensurepip, venv' 2>/dev/null; then
        python=$found has_ensurepip=yes
        return 0
      fi
      python=${python:-$found}
    done < <(type -aP "$name" || true)
  done
  [[ -n $python ]]
}

# ---------------------------------------------------------------------------------------------------- system packages

# Debian and Ubuntu, as root or with a sudo that asks nothing. Returns 1 with the reason in not_installed.
may_install() { # sets sudo
  sudo=() not_installed=""
  if [[ ${TIDEMILL_NO_INSTALL:-} == 1 ]]; then
    not_installed="TIDEMILL_NO_INSTALL forbids installing it"
  elif ! command -v apt-get >/dev/null; then
    not_installed="only Debian and Ubuntu packages can be installed from here"
  elif [[ $EUID -ne 0 ]]; then
    if command -v sudo >/dev/null && sudo -n true 2>/dev/null; then sudo=(sudo -n); else not_installed="installing it needs root"; fi
  fi
  [[ -z $not_installed ]]
}

install_packages() { # WHAT_FOR PACKAGE...
  local what=$1 sudo
  shift
  may_install || return 1
  say "installing $what ($*)"
  run ${sudo[@]+"${sudo[@]}"} apt-get update || true # an old list may do
  if ! run ${sudo[@]+"${sudo[@]}"} env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
    -o DPkg::Lock::Timeout=300 "$@"; then
    not_installed="apt-get install $* failed, see $log"
    return 1
  fi
}

how_to_install() { # java | python -> what a person types on this system
  case "$(uname -s):$1" in
    Darwin:java) printf 'brew install openjdk@17' ;;
    Darwin:python) printf 'brew install python@3.12' ;;
    *)
      if command -v dnf >/dev/null; then
        case $1 in java) printf 'sudo dnf install java-17-openjdk-headless (or java-21-openjdk-headless)' ;; *) printf 'sudo dnf install python3.12' ;; esac
      elif command -v pacman >/dev/null; then
        case $1 in java) printf 'sudo pacman -S jre17-openjdk-headless' ;; *) printf 'install Python 3.13 and set TIDEMILL_PYTHON to it' ;; esac
      elif [[ $1 == java ]]; then
        printf 'sudo apt-get install openjdk-17-jre-headless (or openjdk-21-jre-headless)'
      else
        printf 'sudo apt-get install python3 python3-venv'
      fi
      ;;
  esac
}

need_java() {
  find_java && return 0
  prepare_cache
  # Debian 12 has 17, Debian 13 only 21.
  if install_packages "a Java runtime" openjdk-17-jre-headless || { [[ $not_installed == apt-get* ]] &&
    install_packages "a Java runtime" openjdk-21-jre-headless; }; then
    find_java && return 0
    not_installed="the installed one was not found"
  fi
  fail 69 E_JAVA "no Java $JAVA_NEEDED was found, and $not_installed" \
    "JAVA_HOME (${JAVA_HOME:-not set}), java on PATH, ${TIDEMILL_JAVA_DIRS:-$JAVA_DIRS}" \
    "$(how_to_install java), or set JAVA_HOME to a Java $JAVA_NEEDED"
}

need_python() {
  find_python || true
  if [[ -z $has_ensurepip ]]; then # Debian keeps that part of Python in a package of its own
    local packages=(python3-venv)
    [[ -n $python ]] || packages=(python3 python3-venv)
    if [[ $python == /usr/bin/python3.* ]]; then packages=("${python#/usr/bin/}-venv"); fi
    if install_packages "Python's venv" "${packages[@]}"; then
      find_python || true
      not_installed="the installed one does not suit"
    fi
  fi
  [[ -n $python ]] || fail 78 E_PYTHON "no Python $PYTHON_NEEDED was found, and $not_installed" \
    "python3.11, python3.12, python3.13 and python3 on PATH" \
    "$(how_to_install python), or set TIDEMILL_PYTHON to a Python $PYTHON_NEEDED"
  [[ -n $has_ensurepip ]] || fail 69 E_PYTHON_VENV "$python cannot make virtual environments, and $not_installed" \
    "module ensurepip of $python" "sudo apt-get install python3-venv, or set TIDEMILL_PYTHON to another Python $PYTHON_NEEDED"
}

# ----------------------------------------------------------------------------------------------------------- the steps

prepare_cache() {
  { mkdir -p "$cache" && : >>"$log"; } 2>/dev/null ||
    fail 74 E_PERMISSION "the folder for caches cannot be written" "$cache" "make $repo writable for $(id -un)"
}

# One set-up at a time. The lock goes with the process and the commands it started: if it is killed, the next one waits
# until a half-killed pip has ended, too.
lock() {
  local file=$cache/setup.lock
  [[ $venv == "$repo"/* ]] || file=$venv.lock # an environment that several clones share
  prepare_cache
  { mkdir -p "$(dirname "$file")" && : >>"$file"; } 2>/dev/null ||
    fail 74 E_PERMISSION "the lock of the set-up cannot be written" "$file" "make its folder writable for $(id -un)"
  exec 9>>"$file"
  command -v flock >/dev/null || return 0 # macOS has none: there two set-ups at once are not guarded
  if ! flock -n 9; then
    say "another set-up is running; waiting for it"
    flock 9 &
    child=$!
    wait "$child"
    child=""
  fi
  : >"$log"
}

unlock() { exec 9>&-; }

pip() { # ARGUMENTS...
  # -I and the settings: neither the caller's PYTHONPATH nor a pip made for another target leads it astray. What says
  # where packages come from (mirror, proxy, certificates) stays.
  run env -u PIP_TARGET -u PIP_PREFIX -u PIP_ROOT -u PIP_REQUIREMENT -u PIP_CONSTRAINT -u PIP_ONLY_BINARY -u PIP_NO_BINARY \
    PIP_USER=0 PIP_REQUIRE_VIRTUALENV=0 TMPDIR="$cache/tmp" \
    "$venv/bin/python" -I -m pip --disable-pip-version-check --no-input install --no-deps --no-compile --progress-bar off "$@"
}

make_venv() {
  local stamp
  if [[ -e $venv ]]; then
    stamp=$(cat "$venv"/.tidemill-base 2>/dev/null || true)
    if [[ (-z $stamp || $stamp == *" at $venv") && ! -e $venv/.tidemill-unfinished && -x $venv/bin/python ]] &&
      "$venv/bin/python" -I -c '' 2>/dev/null; then
      python_suits "$venv/bin/python" || fail 78 E_PYTHON "the virtual environment has Python $python_version, and $PYTHON_NEEDED is needed" \
        "$venv" "delete that folder, or name another one with TIDEMILL_VENV"
      if "$venv/bin/python" -I -c 'import pip' 2>/dev/null || run "$venv/bin/python" -I -m ensurepip; then return 0; fi
    fi
    # Killed half-way, moved to another place, or its Python is gone. Only what is an environment is ever deleted.
    [[ -f $venv/pyvenv.cfg || -f $venv/.tidemill-unfinished || -z $(ls -A "$venv") ]] ||
      fail 78 E_VENV "this folder is not a virtual environment" "$venv" "name an empty or new folder with TIDEMILL_VENV"
    rm -rf "$venv" 2>>"$log" || fail_step "the unusable virtual environment cannot be removed" "delete $venv"
  fi
  need_python
  { mkdir -p "$venv" && : >"$venv/.tidemill-unfinished"; } 2>>"$log" ||
    fail_step "the virtual environment cannot be made" "name a folder that can be written with TIDEMILL_VENV"
  run "$python" -I -m venv "$venv" || fail_step "the virtual environment cannot be made with $python" "read the log"
  rm -f "$venv/.tidemill-unfinished"
}

setup_venv() { # base | dev
  local lock=$repo/requirements.lock info
  [[ $1 == base ]] || lock=$repo/requirements-dev.lock
  make_venv
  rm -f "$venv/.tidemill-base" "$venv/.tidemill-dev"
  rm -rf "$cache/tmp"
  mkdir -p "$cache/tmp" 2>>"$log" || fail_step "no folder for temporary files" "make $cache writable"
  # A package that was being copied when an earlier set-up was killed looks installed to pip, but has no list of files.
  for info in "$venv"/lib/python3*/site-packages/*.dist-info; do
    if [[ -d $info && ! -s $info/RECORD ]]; then rm -rf "$info"; fi
  done
  say "installing $(grep -c '^[a-zA-Z0-9].*==' "$lock") Python packages into $venv (minutes, once; log: $log)"
  # What builds packages comes first and from the same locked file: nothing unlocked is fetched for building.
  awk '/^[a-zA-Z0-9]/ { wanted = /^(editables|hatchling|packaging|pathspec|pluggy|setuptools|trove-classifiers|wheel)==/ } wanted' \
    "$lock" >"$cache/tmp/build.lock"
  pip --require-hashes -r "$cache/tmp/build.lock" || fail_step "the build packages cannot be installed" "read the log"
  pip --require-hashes --no-build-isolation -r "$lock" || fail_step "the Python packages cannot be installed" "read the log"
  pip --no-index --no-build-isolation -e "$repo" || fail_step "the project itself cannot be installed" "read the log"
  # Byte code is made here, once and on all cores: without it every start costs seconds. Some packages ship templates
  # that are no Python; what cannot be compiled is left alone.
  run env -u PYTHONDONTWRITEBYTECODE "$venv/bin/python" -I -m compileall -q -j 0 "$venv/lib" || true
  rm -rf "$cache/tmp"
  # Last: only a finished environment has stamps. The larger one holds the smaller.
  stamp_text base >"$venv/.tidemill-base" || fail_step "the stamp cannot be written" "read the log"
  [[ $1 == base ]] || stamp_text dev >"$venv/.tidemill-dev" || fail_step "the stamp cannot be written" "read the log"
}

setup_jars() {
  say "fetching JARs for Spark into $cache/jars"
  [[ -d $jars ]] || fetch_jars "$repo/conf/ivy.xml" "$repo/jars.lock" "$jars" ||
    fail_step "the JARs cannot be fetched" "read the log, or put the files of jars.lock into a folder and set TIDEMILL_JARS to it"
  [[ -z $s3_jars || -d $s3_jars ]] || fetch_jars "$repo/conf/ivy-s3.xml" "$repo/jars-s3.lock" "$s3_jars" ||
    fail_step "the JARs for S3 cannot be fetched" "read the log, or put the files of both lock files into a folder and set TIDEMILL_JARS to it"
}

# With the Ivy that Spark ships: its files stay inside .cache, a JAR with another digest than the locked one is refused, and
# the folder appears under its final name only when it is whole. Returns 1 where they cannot be had.
fetch_jars() { # IVY_FILE LOCK_FILE FOLDER
  local new digest_wanted name
  new=$(dirname "$3")/.new
  resolve_jars "$1" "$new" || return 1
  while read -r digest_wanted name; do
    [[ -f $new/$name ]] || fail_step "a JAR is missing after fetching: $name" "read the log"
    [[ $(digest <"$new/$name") == "$digest_wanted" ]] ||
      fail 69 E_INTEGRITY "a JAR is not the locked one" "$new/$name" "do not use it; ask who runs your package mirror"
  done < <(grep -v '^#' "$2")
  mv "$new" "$3" 2>>"$log" || fail_step "the JARs cannot be moved into place" "make $cache writable"
  rm -rf "$cache/ivy"
}

resolve_jars() { # IVY_FILE NEW_FOLDER
  rm -rf "$2" "$cache/ivy"
  mkdir -p "$2" 2>>"$log" || fail_step "no folder for the JARs" "make $cache writable"
  # user.home: Ivy and Maven settings of a person are not read, and nothing is left in their home.
  run "$JAVA_HOME/bin/java" -Duser.home="$cache/ivy" -cp "$(spark_home)/jars/*" org.apache.ivy.Main \
    -settings "$repo/conf/ivysettings.xml" -ivy "$1" -cache "$cache/ivy/cache" -types jar bundle \
    -retrieve "$2/[organisation]_[artifact]-[revision].[ext]"
}

spark_home() {
  local home
  for home in "$venv"/lib/python3*/site-packages/pyspark; do
    if [[ -d $home/jars ]]; then
      printf '%s' "$home"
      return 0
    fi
  done
  return 1
}

# A third of the JVM's start is reading some 20,000 classes out of 300 JARs. Java can keep them the way it needs them: one
# rehearsal writes the archive, and every later start maps it into memory. It is an extra; without it all works the same.
archive_file() { # the archive that suits this Java, these JARs and this place
  printf '%s/jvm/%s.jsa' "$cache" \
    "$({ printf '%s\n' "$SETUP_VERSION" "$venv" "$jars" "$JAVA_HOME" && cat "$JAVA_HOME/release"; } 2>/dev/null | digest | cut -c1-16)"
}

archive_ready() { # sets archive; one that is older than pyspark's JARs would be ignored by Java
  archive=$(archive_file)
  [[ $archive -nt $(spark_home)/jars ]]
}

setup_archive() {
  local new=$cache/jvm/.new.jsa
  if archive_ready || ! own_conf_dir; then return 0; fi
  say "rehearsing the start of Spark"
  rm -rf "$cache/jvm" "$cache/tmp"
  mkdir -p "$cache/jvm" "$cache/tmp" || return 0
  if ! { run rehearse "$new" && mv "$new" "$archive" 2>>"$log"; }; then
    rm -f "$new"
    say "no class archive was made; Spark starts a little slower (log: $log)"
  fi
  rm -rf "$cache/tmp"
}

rehearse() ( # NEW_ARCHIVE; in a subshell: what it exports ends with it
  trap - ERR
  s3_jars="" # a longer class path may use the archive, a shorter one may not
  set_environment local "-XX:ArchiveClassesAtExit=$1"
  exec "$PYSPARK_PYTHON" -P - "$cache/tmp/table" <<'END'
import sys

from pyspark import SparkContext
from pyspark.sql import SparkSession, Window, functions as F

path = sys.argv[1]
spark = SparkSession.builder.getOrCreate()
frame = spark.range(100).select("id", F.col("id").cast("string").alias("name"), F.rand(1).alias("x"), F.current_timestamp().alias("t"))
for _ in range(2):
    frame.write.format("delta").partitionBy("name").mode("overwrite").save(path)
frame.limit(9).withColumn("n", F.sum("x").over(Window.partitionBy("id").orderBy("t"))).drop("n").write.format("delta").mode("append").save(path)
table = spark.read.format("delta").load(path)
table.createOrReplaceTempView("rehearsal")
spark.sql(f"merge into delta.`{path}` a using rehearsal b on a.id = b.id + 1000 when not matched then insert *")
spark.sql(f"describe history delta.`{path}`").collect()
table.join(table.groupBy("id").agg(F.avg("x").alias("y"), F.count_distinct("name")), "id").mapInArrow(lambda batches: batches, "id long, name string, x double, t timestamp, y double, n long").toPandas()
table.write.parquet(path + "-parquet")
table.drop("t").write.csv(path + "-csv", header=True)
spark.read.csv(path + "-csv", header=True).count()
spark.stop()
java = SparkContext._gateway.proc
java.stdin.close()
sys.exit(java.wait())
END
)

# base | dev, and whether a JVM is certain to be needed (java) or not (no-java: commands that read files only).
ensure_setup() {
  watch_signals
  if [[ $2 == java ]]; then need_java; else find_java || true; fi
  local complete=yes
  venv_ready "$1" || complete=""
  jars_ready || [[ -z $java ]] || complete=""
  if [[ -z $complete ]]; then
    lock
    venv_ready "$1" || setup_venv "$1"
    jars_ready || [[ -z $java ]] || setup_jars
    [[ -z $java ]] || setup_archive
    unlock
    say "set-up complete"
  fi
  trap - ERR HUP INT TERM
}

# -------------------------------------------------------------------------------------------------------- environment

known_environments() {
  local file names=""
  for file in "$repo"/conf/spark/*.conf; do
    file=${file##*/}
    names+="${names:+, }${file%.conf}"
  done
  printf '%s' "$names"
}

own_conf_dir() { # a cluster's administrator may set another one; and Spark's scripts trip over a blank in its name
  [[ ${SPARK_CONF_DIR:-$repo/conf/spark} == "$repo/conf/spark" && $repo != *[[:space:]]* ]]
}

# The JVM has to know its memory, options and class path before it starts: they travel in PYSPARK_SUBMIT_ARGS, which pyspark
# hands to Spark's own spark-submit when the first session is made.
set_environment() { # ENVIRONMENT [JVM_OPTION...]
  local conf=$repo/conf/spark/$1.conf key value master="" level=WARN options
  while read -r key value || [[ -n $key ]]; do
    if [[ $key == spark.master ]]; then master=$value; fi
  done <"$conf"

  # Another Python's settings would be taken over; assertions and byte code are wanted.
  unset PYTHONHOME PYTHONOPTIMIZE PYTHONDONTWRITEBYTECODE PYTHONWARNINGS PYTHONSAFEPATH PYTHONSTARTUP PYTHONPYCACHEPREFIX
  SPARK_HOME=$(spark_home)
  export SPARK_HOME
  export PYSPARK_PYTHON=$venv/bin/python PYSPARK_DRIVER_PYTHON=$venv/bin/python
  export PYTHONPATH=$repo/lib:$repo${PYTHONPATH:+:$PYTHONPATH}
  export PYTHONNOUSERSITE=1 PYTHONUTF8=1 PYTHONHASHSEED=0 # the same order of sets in every process
  export TZ=UTC
  if [[ $(uname -s) == Darwin ]]; then export LC_ALL=en_US.UTF-8; else export LC_ALL=C.UTF-8; fi
  export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1} # Spark's tasks share the cores already
  export MLFLOW_ALLOW_PICKLE_DESERIALIZATION=false MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false
  export MLFLOW_DISABLE_TELEMETRY=true DO_NOT_TRACK=true FEAST_USAGE=False GIT_PYTHON_REFRESH=quiet
  export TIDEMILL_JARS=$jars TIDEMILL_S3_JARS=$s3_jars

  if [[ ${TIDEMILL_VERBOSE:-} == 1 ]]; then level=INFO; fi
  options="\"-Dlog4j2.configurationFile=$repo/conf/log4j2.properties\" -Dtidemill.log.level=$level"
  if own_conf_dir; then
    export SPARK_CONF_DIR=$repo/conf/spark # spark-env.sh lies there
    if [[ -n $java && $master == "local["* ]]; then
      # Java's own messages about the archive are for its developers.
      if archive_ready; then options+=" \"-XX:SharedArchiveFile=$archive\" -Xlog:disable -Xlog:all=error:stderr"; fi
    fi
  fi
  shift
  while [[ $# -gt 0 ]]; do
    options+=" \"$1\""
    shift
  done
  local arguments=(--properties-file "$conf" --conf "spark.driver.extraJavaOptions=$options")
  if [[ $master == "local["* ]]; then
    # One JVM: no address but this machine's own is listened on, and nothing is copied to executors.
    export SPARK_LOCAL_IP=${SPARK_LOCAL_IP:-127.0.0.1}
    # Spark wants a folder for tables without a path. Ours all have one: this one stays empty, and out of the caller's way.
    arguments+=(--driver-class-path "$jars/*" --conf "spark.sql.warehouse.dir=$cache/warehouse")
    # Behind all others: the class archive holds for what a class path begins with.
    if [[ -n $s3_jars ]]; then export SPARK_DIST_CLASSPATH="$s3_jars/*"; fi
  else
    local list=("$jars"/*.jar)
    if [[ -n $s3_jars ]]; then list+=("$s3_jars"/*.jar); fi
    arguments+=(--jars "$(IFS=, && printf '%s' "${list[*]}")")
    # Where a file cannot know it: which cluster, and where executors that share this folder find the code.
    [[ -z ${TIDEMILL_MASTER:-} ]] || arguments+=(--master "$TIDEMILL_MASTER")
    arguments+=(--conf "spark.executorEnv.PYTHONPATH=$repo/lib:$repo" --conf spark.executorEnv.OMP_NUM_THREADS=1)
  fi
  # What other clients of S3 read from the environment. Spark hands credentials and the endpoint on to Hadoop's itself.
  if [[ -n $s3 && -n ${AWS_REGION:-} ]]; then
    arguments+=(--conf "spark.hadoop.fs.s3a.endpoint.region=$AWS_REGION" --conf "spark.executorEnv.AWS_REGION=$AWS_REGION")
  fi
  if [[ -n $s3 && -n ${AWS_ENDPOINT_URL:-} ]]; then # servers other than Amazon's know buckets by path, not by host name
    arguments+=(--conf spark.hadoop.fs.s3a.path.style.access=true --conf "spark.executorEnv.AWS_ENDPOINT_URL=$AWS_ENDPOINT_URL")
  fi
  PYSPARK_SUBMIT_ARGS=$(quoted "${arguments[@]}" pyspark-shell)
  export PYSPARK_SUBMIT_ARGS
}

quoted() { # WORDS... -> one line that Python's shlex takes apart again
  local word line=""
  for word in "$@"; do line+="'${word//\'/\'\"\'\"\'}' "; done
  printf '%s' "${line% }"
}

# ------------------------------------------------------------------------------------------------------ the command line

# Looks through a job's arguments for those that matter before Python runs; the job gets them all.
read_arguments() { # ARGUMENTS... -> environment, json, s3
  local root=$repo/var address=${TIDEMILL_TABLES:-}
  environment=local
  while [[ $# -gt 0 ]]; do
    case $1 in
      --) break ;;
      --json) json=yes ;;
      --env=*) environment=${1#*=} ;;
      --env)
        environment=${2:-}
        [[ $# -lt 2 ]] || shift
        ;;
      --root=*) root=${1#*=} ;;
      --root)
        root=${2:-}
        [[ $# -lt 2 ]] || shift
        ;;
    esac
    shift
  done
  # A root says itself where its tables lie; a new one is told.
  if [[ -f $root/lake/address ]]; then address=$(<"$root/lake/address"); fi
  if [[ $address == s3://* ]]; then s3=yes; fi
}

check_environment() { # COMMAND
  [[ $environment =~ ^[A-Za-z0-9_-]+$ && -f $repo/conf/spark/$environment.conf ]] ||
    fail 64 E_USAGE "there is no environment \"$environment\"" "--env of $1; conf/spark/ has: $(known_environments)" \
      "name one of these, or write conf/spark/${environment:-NAME}.conf"
}

distance() { # WORD WORD -> edit distance (Levenshtein), in distance_found
  local a=$1 b=$2 i j left up diagonal cost row=()
  for ((j = 0; j <= ${#b}; j++)); do row[j]=$j; done
  for ((i = 1; i <= ${#a}; i++)); do
    diagonal=${row[0]} row[0]=$i
    for ((j = 1; j <= ${#b}; j++)); do
      cost=1
      if [[ ${a:i-1:1} == "${b:j-1:1}" ]]; then cost=0; fi
      left=$((row[j - 1] + 1)) up=$((row[j] + 1)) cost=$((diagonal + cost)) diagonal=${row[j]}
      if ((up < left)); then left=$up; fi
      if ((cost < left)); then left=$cost; fi
      row[j]=$left
    done
  done
  distance_found=${row[${#b}]}
}

# shellcheck disable=SC2034  # read by spark-submit.sh
nearest() { # WORD CANDIDATES... -> the most similar one, if it is similar at all, in nearest_found
  local word=${1##*/} candidate least=99
  word=${word%.py} word=${word//-/_}
  nearest_found=""
  shift
  for candidate in "$@"; do
    distance "$word" "$candidate"
    if ((distance_found < least && distance_found <= (${#candidate} + 1) / 2)); then
      least=$distance_found nearest_found=$candidate
    fi
  done
}
