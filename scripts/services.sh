#!/usr/bin/env bash
# The real parts that tests run against: scripts/services.sh up|down|status
#
# `up` installs what is missing, starts it on a free loopback port with its data in a temporary folder, and writes an env file
# (HELPLINE_SERVICES_ENV, default in the cache folder) to be sourced. `down` stops by process id what `up` with the same env file started.
# With MONGODB_URI set, that server is used instead and nothing is installed or started.
set -euo pipefail

ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
# shellcheck source=scripts/env.sh
. "$ROOT/scripts/env.sh"

MONGO_VERSION=0.5.3-beta.196
MONGO_BIN="$CACHE/services/bin/secantusd-rs"
ENV_FILE="${HELPLINE_SERVICES_ENV:-$CACHE/services.env}"
STATE_FILE="$ENV_FILE.state"

main() {
  case "${1:-}" in
    up) up ;;
    down) down ;;
    status) status ;;
    *) die "usage: scripts/services.sh up|down|status" ;;
  esac
}

up() {
  if running; then
    say "already up, see $ENV_FILE"
    return
  fi
  mkdir -p "$(dirname "$ENV_FILE")"
  if [ -n "${MONGODB_URI:-}" ]; then
    write_env "$MONGODB_URI"
    say "using the MongoDB that MONGODB_URI names"
    return
  fi
  install_mongo
  start_mongo
}

down() {
  if running; then
    local pid
    pid="$(state pid)"
    kill "$pid"
    await_end "$pid" || kill -9 "$pid" 2>/dev/null || true
    say "stopped the MongoDB stand-in"
  fi
  if [ -f "$STATE_FILE" ]; then
    rm -rf "$(state data)"
  fi
  rm -f "$STATE_FILE" "$ENV_FILE"
}

status() {
  if running; then
    say "the MongoDB stand-in runs as process $(state pid)"
  elif [ -f "$ENV_FILE" ] && [ ! -f "$STATE_FILE" ]; then
    say "tests use the MongoDB that MONGODB_URI named"
  else
    say "nothing runs"
    return 1
  fi
}

# What `up` noted: pid or data.
state() { sed -n "s/^$1=//p" "$STATE_FILE"; }

# Whether the process that `up` started is alive; a number that was given to another process since does not count.
running() {
  [ -f "$STATE_FILE" ] || return 1
  local pid
  pid="$(state pid)"
  [ -n "$pid" ] && kill -0 "$pid" 2>/dev/null || return 1
  [ ! -r "/proc/$pid/comm" ] || [ "$(cat "/proc/$pid/comm")" = secantusd-rs ]
}

write_env() {
  {
    printf 'export HELPLINE_TEST_MONGODB_URI=%q\n' "$1"
    if [ -x "$MONGO_BIN" ]; then
      printf 'export HELPLINE_TEST_SECANTUSD=%q\n' "$MONGO_BIN"
    fi
  } >"$ENV_FILE"
}

mongo_is_current() { [ -x "$MONGO_BIN" ] && [[ "$("$MONGO_BIN" --version | head -n 1)" == *" $MONGO_VERSION" ]]; }

install_mongo() {
  if mongo_is_current; then
    return
  fi
  say "building the MongoDB stand-in, which takes minutes the first time"
  need_cmake
  local target
  target="$(mktemp -d)"
  if ! CARGO_TARGET_DIR="$target" cargo install secantus-mdb --version "$MONGO_VERSION" --locked --ignore-rust-version --force \
    --root "$CACHE/services" >&2; then
    rm -rf "$target"
    die "the MongoDB stand-in could not be built"
  fi
  rm -rf "$target"
  mongo_is_current || die "the MongoDB stand-in was built, but is not version $MONGO_VERSION"
}

# CMake 3.21 or newer, from Python's packages or the system's.
need_cmake() {
  if cmake_is_enough; then
    return
  fi
  python3 -m pip install --quiet cmake >&2 || python3 -m pip install --quiet --break-system-packages cmake >&2 || apt_install cmake || true
  PATH="$(python3 -m site --user-base 2>/dev/null || echo /usr)/bin:$PATH"
  export PATH
  hash -r
  cmake_is_enough || die "CMake 3.21 or newer is needed"
}

cmake_is_enough() {
  has cmake || return 1
  local version
  version="$(cmake --version | sed -n '1s/^cmake version //p')"
  [ "$(printf '3.21\n%s\n' "$version" | sort -V | head -n 1)" = 3.21 ]
}

start_mongo() {
  local data pid port tries
  data="$(mktemp -d)"
  # It is looked into below, perhaps before the server has begun to write it.
  : >"$data/log"
  nohup "$MONGO_BIN" --port 0 --storage-path "$data/db" --sync-on-commit --log-file-max 16MB --cache-size 256M \
    >"$data/log" 2>&1 </dev/null &
  pid=$!
  printf 'pid=%s\ndata=%s\n' "$pid" "$data" >"$STATE_FILE"
  for ((tries = 0; tries < 300; tries++)); do
    port="$(sed -n 's/.*listening on 127\.0\.0\.1:\([0-9][0-9]*\).*/\1/p' "$data/log" | head -n 1)"
    if [ -n "$port" ]; then
      write_env "mongodb://127.0.0.1:$port/"
      say "the MongoDB stand-in listens on port $port, see $ENV_FILE"
      return
    fi
    kill -0 "$pid" 2>/dev/null || break
    sleep 0.1
  done
  cat "$data/log" >&2
  down
  die "the MongoDB stand-in did not start"
}

main "$@"
