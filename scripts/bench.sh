#!/usr/bin/env bash
# The bars of speed and size, each held against its references in the same run: scripts/bench.sh [--quick] [ROUNDS], three rounds unless said otherwise.
#
# Builds a release and prints one table of medians; what it measures and how stands in docs/BENCHMARKS.md. Three rounds take about a quarter of an
# hour after the build, and want the machine for themselves. --quick is one short round, to see that everything works. What was measured in each round
# is kept as lines of JSON, in HELPLINE_BENCH_OUT or in the cache folder. With MONGODB_URI set, that server is used instead of the stand-in.
# HELPLINE_BENCH_SERVERS and HELPLINE_BENCH_MODES measure less, for example "relay embedded" and "closed idle".
#
# All servers listen on loopback, with data in a temporary folder, and are stopped by process id.
set -euo pipefail

ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
cd "$ROOT"
# shellcheck source=scripts/env.sh
. "$ROOT/scripts/env.sh"

RELEASE="$CARGO_TARGET_DIR/release"
LOAD="$RELEASE/examples/load"
# The last one is two nodes with a Redis between them, whose sessions have their parties on different nodes.
SERVERS=(relay node-relay node-mongodb embedded mongodb two-nodes)
MODES=(closed open idle connected start)

main() {
  command="scripts/bench.sh${*:+ $*}"
  rounds=3 seconds=10 warm_up=2 sockets=2000 starts=5
  if [ "${1:-}" = --quick ]; then
    rounds=1 seconds=3 warm_up=1 sockets=400 starts=3
    shift
  fi
  rounds="${1:-$rounds}"
  [[ $# -le 1 && "$rounds" =~ ^[1-9][0-9]?$ ]] || die "usage: scripts/bench.sh [--quick] [ROUNDS]"
  only=" ${HELPLINE_BENCH_SERVERS:-${SERVERS[*]}} ${HELPLINE_BENCH_MODES:-${MODES[*]}} "
  trap finish EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM HUP
  prepare

  local round server
  for ((round = 1; round <= rounds; round++)); do
    for server in "${SERVERS[@]}"; do
      measure "$server" closed
    done
    for server in embedded mongodb two-nodes; do
      measure "$server" open --rate 1000
    done
    measure node-mongodb open --rate 300
    for server in relay node-relay embedded; do
      measure "$server" idle --sockets "$sockets"
      measure "$server" connected --sockets "$sockets"
    done
    for server in relay node-relay node-mongodb embedded; do
      measure_start "$server"
    done
  done
}

prepare() {
  has cargo || die "a Rust toolchain is needed: see rustup.rs"
  has node && has npm || apt_install nodejs npm || die "Node.js and npm are needed for the references"
  has redis-server || apt_install redis-server || die "redis-server is needed between two nodes"
  node_modules benches/node
  cargo build --release --bin helpline --example load --example relay
  # Each socket is a file here and one at the server.
  ulimit -n "$(ulimit -Hn)"
  folder="$(mktemp -d)"
  pids=()
  export HELPLINE_SERVICES_ENV="$folder/services.env"
  out="${HELPLINE_BENCH_OUT:-$CACHE/bench/$(date -u +%Y%m%dT%H%M%SZ).jsonl}"
  mkdir -p "$(dirname "$out")"
  : >"$out"
  API_KEY="$(random 16)" JWT_SECRET="$(random 32)"
  export API_KEY
  run=0
}

# measure SERVER MODE [ARGUMENT …]: starts a server with nothing in it, measures it in this mode, and stops it.
measure() {
  local server="$1" mode="$2" sessions=200 arguments=()
  shift 2
  is_wanted "$server" "$mode" || return 0
  say "round $round of $rounds: $server, $mode${*:+ $*}"
  case "$mode" in
    # The generator opens a few more first, which it does not count.
    idle) sessions=$((sockets / 2 + 20)) ;;
    connected) sessions=0 ;;
    *) arguments=(--sessions "$sessions" --seconds "$seconds" --warm-up "$warm_up") ;;
  esac
  start "$server"
  if [ "$protocol" = helpline ]; then
    add_agents "$sessions"
  fi
  local all_urls="${urls[*]}" all_servers="${servers[*]}" all_behind="${behind[*]}"
  keep "$server, $mode" "$LOAD" "$mode" --label "$server" --round "$round" --protocol "$protocol" --urls "${all_urls// /,}" \
    --pids "${all_servers// /,}" ${all_behind:+--store-pids "${all_behind// /,}"} "${arguments[@]}" "$@"
  stop
}

# From the start of a process to its first answer, each time with an empty folder.
measure_start() {
  is_wanted "$1" start || return 0
  say "round $round of $rounds: $1, start"
  settings "$1"
  # The generator passes its own environment on.
  keep "$1, start" env -i "${environment[@]}" "$LOAD" start --label "$1" --round "$round" --runs "$starts" -- "${program[@]}"
  stop
}

is_wanted() { [[ "$only" == *" $1 "* && "$only" == *" $2 "* ]]; }

# What is measured is kept, also where the generator says that something is wrong: keep WHAT COMMAND …
keep() {
  local what="$1"
  shift
  "$@" >>"$out" || {
    failed=1
    say "FAILED: $what"
  }
}

# What a server is: its protocol, its program and its environment. Starts what it needs behind it.
settings() {
  run=$((run + 1))
  protocol=relay environment=("PATH=$PATH") urls=() servers=() behind=()
  case "$1" in
    relay) program=("$RELEASE/examples/relay") ;;
    node-relay) program=(node "$ROOT/benches/node/relay.js") ;;
    node-mongodb) program=(node "$ROOT/benches/node/store.js") ;;
    *)
      protocol=helpline program=("$RELEASE/helpline")
      # Everything is as it comes, but for two limits that are meant for one person and for one address: they are counted, and never reached.
      environment+=(NODE_ENV=production HOST=127.0.0.1 "API_KEY=$API_KEY" "JWT_SECRET=$JWT_SECRET"
        MESSAGES_PER_MINUTE=1000000 MAX_CONNECTIONS_PER_IP=100000)
      ;;
  esac
  case "$1" in
    node-mongodb | mongodb | two-nodes)
      start_mongo
      environment+=("MONGODB_URI=$mongodb_uri" "MONGODB_DB=helpline_bench_$$_$run")
      ;;
  esac
  if [ "$1" = two-nodes ]; then
    start_redis
    environment+=("REDIS_URL=redis://127.0.0.1:$redis_port")
  fi
}

# Starts a server, and knows then where it listens and what its processes are.
start() {
  settings "$1"
  node=1
  start_node
  if [ "$1" = two-nodes ]; then
    node=2
    start_node
  fi
}

start_node() {
  local name="server-$run-$node" port
  mkdir "$folder/$name"
  launch "$name" env -C "$folder/$name" -i "${environment[@]}" PORT=0 "DATA_DIR=$folder/$name" "${program[@]}"
  await_line "$name" "listening on http://127.0.0.1:"
  port="$(sed -n 's|.*listening on http://127\.0\.0\.1:\([0-9]*\).*|\1|p' "$folder/$name.log" | head -n 1)"
  urls+=("127.0.0.1:$port")
  servers+=("$launched")
}

# So many that each session gets one: add_agents SESSIONS
add_agents() {
  local n
  for ((n = 1; n <= $1 / 10; n++)); do
    env -C "$folder/server-$run-1" -i "${environment[@]}" "DATA_DIR=$folder/server-$run-1" LOG_LEVEL=error \
      "${program[@]}" agent add --name "Agent $n" --capacity 10 >/dev/null
  done
}

# A stand-in with an empty store, or the server that MONGODB_URI names.
start_mongo() {
  scripts/services.sh up 2>>"$folder/services.log" || { cat "$folder/services.log" >&2 && die "there is no MongoDB"; }
  # shellcheck source=/dev/null
  . "$HELPLINE_SERVICES_ENV"
  mongodb_uri="$HELPLINE_TEST_MONGODB_URI"
  if [ -f "$HELPLINE_SERVICES_ENV.state" ]; then
    behind+=("$(sed -n 's/^pid=//p' "$HELPLINE_SERVICES_ENV.state")")
  fi
}

start_redis() {
  redis_port="$(free_port)"
  launch "redis-$run" redis-server --port "$redis_port" --bind 127.0.0.1 --save "" --appendonly no --dir "$folder"
  await_line "redis-$run" "Ready to accept connections"
  behind+=("$launched")
}

# Runs a command: launch NAME COMMAND …
launch() {
  local name="$1"
  shift
  "$@" >"$folder/$name.log" 2>&1 </dev/null &
  launched=$!
  pids+=("$launched")
}

await_line() {
  local tries
  for ((tries = 0; tries < 300; tries++)); do
    if grep -qsF "$2" "$folder/$1.log"; then
      return
    fi
    kill -0 "$launched" 2>/dev/null || break
    sleep 0.1
  done
  cat "$folder/$1.log" >&2
  die "$1 did not start"
}

# Ends what was started last, servers and what is behind them. Nobody has to be sent away, so it need not be asked.
stop() {
  local pid
  for pid in "${pids[@]}"; do
    kill -9 "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
  done
  pids=()
  scripts/services.sh down 2>>"$folder/services.log" || true
  rm -rf "$folder"/server-*/
}

# Whatever happened, what was measured is shown, everything stops, and the last line says how it went.
finish() {
  local code=$?
  trap - EXIT
  trap '' INT TERM HUP
  if [ -n "${folder:-}" ]; then
    stop
    rm -rf "$folder"
  fi
  if [ -s "${out:-/dev/null}" ]; then
    node benches/table.js "$out" || failed=1
    conditions
  fi
  if [ "$code" -eq 0 ] && [ -z "${failed:-}" ]; then
    echo "scripts/bench.sh: every bar that was measured was met"
  else
    echo "scripts/bench.sh: FAILED"
    exit 1
  fi
}

# What anybody needs to know who compares the table with another one.
conditions() {
  local dirty=""
  [ -z "$(git status --porcelain 2>/dev/null)" ] || dirty=", with changes"
  cat <<END

Machine    $(nproc) cores, $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1), $(awk '/^MemTotal/ { printf "%.1f GiB", $2 / 1048576 }' /proc/meminfo)
System     $(uname -sr)
Versions   $(rustc --version | cut -d ' ' -f 1-2), socketioxide $(locked socketioxide), Node.js $(node --version), socket.io $(installed socket.io), mongodb $(installed mongodb)
Behind     ${MONGODB_URI:+the MongoDB of MONGODB_URI}$([ -n "${MONGODB_URI:-}" ] || "$CACHE/services/bin/secantusd-rs" --version 2>/dev/null | head -n 1), $(redis-server --version | cut -d ' ' -f 1-3)
Commit     $(git rev-parse --short=12 HEAD 2>/dev/null || echo none)$dirty
Command    $command
Each round $out
END
}

locked() { sed -n "/^name = \"$1\"$/{n;s/^version = \"\(.*\)\"/\1/p}" Cargo.lock; }

installed() { sed -n 's/^ *"version": "\(.*\)",/\1/p' "benches/node/node_modules/$1/package.json"; }

main "$@"
