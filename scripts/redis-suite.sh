#!/usr/bin/env bash
# Runs Redis's own test suite against this server, a fresh one for each unit.
#
#   scripts/redis-suite.sh <directory with the source of Redis 7.0> [skip list] [unit …]
#
# The source is not part of this repository; scripts/fetch-redis-source.sh fetches it. The skip list has one name
# of a test in each line; the default is test/server/redis/suite-skip.txt, which says why for each. The last line counts
# the tests that passed; the exit status is 1 where one failed, or where fewer passed than $REDIS_SUITE_LEAST.
set -uo pipefail
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
source_directory="${1:?the directory with the source of Redis}"
skip_list="$(realpath "${2:-$root/test/server/redis/suite-skip.txt}")"
shift $(($# < 2 ? $# : 2))
units=("$@")
if [ ${#units[@]} -eq 0 ]; then
  units=(unit/type/string unit/type/incr unit/type/hash unit/keyspace unit/scan unit/expire unit/multi unit/other
    unit/info-command unit/quit unit/protocol unit/pubsub unit/type/set unit/type/zset unit/type/list unit/type/list-3
    unit/type/stream unit/type/stream-cgroups
    unit/slowlog unit/latency-monitor unit/introspection unit/scripting-eval
    unit/sort unit/bitops unit/bitfield unit/dump)
fi
port="${REDIS_SUITE_PORT:-20480}"
tags="-needs:debug -needs:repl -needs:save -needs:pfdebug -needs:config-maxmemory -needs:config-resetstat -needs:reset"
tags="$tags -external:skip -large-memory -slow"
# What is tested is what commands answer, one after the other: on a disk most of the time would go into its syncs.
in_memory=''
if [ "$(df --output=avail /dev/shm 2>/dev/null | tail -n 1)" -gt 2000000 ] 2>/dev/null; then in_memory=/dev/shm; fi
work="$(mktemp -d -p "${in_memory:-${TMPDIR:-/tmp}}")"
server=''
stop() {
  if [ -n "$server" ]; then kill -9 "$server" 2>/dev/null; wait "$server" 2>/dev/null; fi
  server=''
}
trap 'stop; rm -rf "$work"' EXIT

# unit/scripting runs all its tests twice: by EVAL, and by FUNCTION LOAD and FCALL, which there is not here. The names are the
# same, so the second round cannot be skipped by name: it is cut off in a copy.
sed 's/^foreach is_eval {0 1}/foreach is_eval {1}/' "$source_directory/tests/unit/scripting.tcl" \
  >"$source_directory/tests/unit/scripting-eval.tcl"

# On a slow machine a long script of the tests is not to be stopped.
printf '{"redis":{"maxScriptMs":60000}}' >"$work/config.json"

total=0
failed=0
for unit in "${units[@]}"; do
  data="$work/$(basename "$unit")"
  log="$data.log"
  (cd "$root" && exec node_modules/.bin/node src/cli/main.ts serve --config "$work/config.json" --directory "$data" --redis-port "$port" --no-http) \
    >"$data.server" 2>&1 &
  server=$!
  for _ in $(seq 1 300); do
    if redis-cli -p "$port" ping >/dev/null 2>&1; then break; fi
    sleep 0.1
  done
  (cd "$source_directory" && timeout 300 ./runtest --host 127.0.0.1 --port "$port" --baseport "$((port + 20))" --portcount 100 \
    --clients 1 --single "$unit" --tags "$tags" --ignore-encoding --ignore-digest --durable --skipfile "$skip_list") \
    >"$log" 2>&1
  status=$?
  stop
  passed=$(grep -c '\[.*ok' "$log")
  total=$((total + passed))
  printf '%-20s %3d ok, status %d\n' "$unit" "$passed" "$status"
  if [ "$status" -ne 0 ]; then
    failed=1
    grep -aE '\[.*(err|exception)|Expected|timeout|TIMEOUT|ERROR' "$log" | sort -u | head -40
    tail -n 3 "$data.server"
  fi
  if [ -n "${REDIS_SUITE_LOGS:-}" ]; then cp "$log" "$REDIS_SUITE_LOGS/"; fi
done
echo "$total tests of Redis's own suite passed"
if [ "$failed" -ne 0 ] || [ "$total" -lt "${REDIS_SUITE_LEAST:-0}" ]; then exit 1; fi
