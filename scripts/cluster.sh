#!/usr/bin/env bash
# Several nodes on this machine, to be tried out and broken: scripts/cluster.sh [N], two unless said otherwise.
#
# Starts a MongoDB stand-in (or uses the server that MONGODB_URI names), a Redis, N servers and an nginx before them, all on loopback with their
# data in a temporary folder, and prints the address of nginx: PORT, or a free one. The servers are HELPLINE_BIN, or a release build that is
# made where needed. Other variables reach them too, a file .env does not. Who calls comes from a proxy and is not trusted: agents and admins
# need API_KEY, which is made up and printed where it is not set.
#
# A server that ends, of itself or because you ended it, is started again after three seconds. Ctrl-C ends everything and removes its data.
set -euo pipefail

ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
cd "$ROOT"
# shellcheck source=scripts/env.sh
. "$ROOT/scripts/env.sh"

# What runs: its name by its process id.
declare -A parts=()
node_ports=()

main() {
  nodes="${1:-2}"
  [[ $# -le 1 && "$nodes" =~ ^[1-9][0-9]?$ ]] || die "usage: scripts/cluster.sh [N]"
  folder="$(mktemp -d)"
  trap finish EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM HUP

  has redis-server || apt_install redis-server || die "redis-server is needed to carry word between nodes"
  has nginx || apt_install nginx || die "nginx is needed in front of the nodes"
  has npm || apt_install nodejs npm || die "Node.js and npm are needed for the client that pages load"
  node_modules static
  if [ -z "${HELPLINE_BIN:-}" ]; then
    cargo build --release
    HELPLINE_BIN="$CARGO_TARGET_DIR/release/helpline"
  fi
  start_mongo
  start_redis
  settings
  local n
  for ((n = 1; n <= nodes; n++)); do
    start_node "$n" 0
  done
  start_nginx

  printf 'http://127.0.0.1:%s\n' "$nginx_port"
  say "the API key is $API_KEY"
  say "logs are in $folder; Ctrl-C ends everything"
  attend
}

# Runs a command as a part, out of reach of Ctrl-C, so that we are the one who ends it: launch NAME COMMAND …
launch() {
  local name="$1"
  shift
  set -m
  "$@" >>"$folder/$name.log" 2>&1 </dev/null &
  set +m
  launched=$!
  parts[$launched]="$name"
}

start_mongo() {
  export HELPLINE_SERVICES_ENV="$folder/services.env"
  say "starting the services"
  launch services scripts/services.sh up
  wait "$launched" || failed services
  unset "parts[$launched]"
  # shellcheck source=/dev/null
  . "$HELPLINE_SERVICES_ENV"
}

start_redis() {
  redis_port="$(free_port)"
  launch redis redis-server --port "$redis_port" --bind 127.0.0.1 --save "" --appendonly no --dir "$folder"
  await_line redis "Ready to accept connections"
}

# What all nodes have in common.
settings() {
  nginx_port="${PORT:-$(free_port)}"
  ! listens "$nginx_port" || die "port $nginx_port is taken"
  export MONGODB_URI="$HELPLINE_TEST_MONGODB_URI" MONGODB_DB="${MONGODB_DB:-helpline_cluster}" REDIS_URL="redis://127.0.0.1:$redis_port"
  export HOST=127.0.0.1 TRUSTED_PROXIES=127.0.0.1 LOG_LEVEL="${LOG_LEVEL:-info}"
  export JWT_SECRET="${JWT_SECRET:-$(random 32)}" API_KEY="${API_KEY:-$(random 16)}"
  export SOCKET_IO_CLIENT_DIR="$ROOT/static/node_modules/socket.io-client/dist"
}

# start_node NUMBER PORT; 0 is a free port, which it keeps from then on.
start_node() {
  local name="node$1"
  mkdir -p "$folder/$name"
  [ ! -f "$folder/$name.log" ] || mv "$folder/$name.log" "$folder/$name.before.log"
  launch "$name" env -C "$folder/$name" PORT="$2" DATA_DIR="$folder/$name" "$HELPLINE_BIN"
  await_line "$name" "listening on http://127.0.0.1:"
  node_ports[$1]="$(sed -n 's|.*listening on http://127\.0\.0\.1:\([0-9]*\).*|\1|p' "$folder/$name.log" | head -n 1)"
  say "$name is process $launched and listens on port ${node_ports[$1]}"
}

# Our template, with one line for each node in place of its two.
start_nginx() {
  local options servers="" port
  options="$(sed -n 's/.*server node1:5000 \(.*;\)/\1/p' deploy/nginx.conf)"
  for port in "${node_ports[@]}"; do
    servers+="server 127.0.0.1:$port $options "
  done
  sed -e "s/server node1:5000 .*/$servers/" -e "/server node2:5000 /d" -e "s/listen 80;/listen 127.0.0.1:$nginx_port;/" \
    deploy/nginx.conf >"$folder/helpline.conf"
  cp scripts/nginx-alone.conf "$folder/nginx.conf"
  launch nginx nginx -p "$folder" -c nginx.conf -e error.log
  await nginx listens "$nginx_port"
}

# Says what ends, and starts nodes again.
attend() {
  local pid name
  while sleep 1; do
    for pid in "${!parts[@]}"; do
      if runs "$pid"; then
        continue
      fi
      name="${parts[$pid]}"
      unset "parts[$pid]"
      say "$name has ended"
      if [[ "$name" == node* ]]; then
        sleep 3
        start_node "${name#node}" "${node_ports[${name#node}]}"
      fi
    done
  done
}

# Ends the parts in the order in which they need each other, each with time to do so.
finish() {
  local code=$? name
  trap - EXIT
  trap '' INT TERM HUP
  for name in services nginx node redis; do
    end "$name"
  done
  scripts/services.sh down || true
  rm -rf "$folder"
  exit "$code"
}

# Ends all parts whose name begins so.
end() {
  local pid ended=()
  for pid in "${!parts[@]}"; do
    if [[ "${parts[$pid]}" == "$1"* ]] && runs "$pid"; then
      kill -- "-$pid" 2>/dev/null || true
      ended+=("$pid")
    fi
  done
  for pid in "${ended[@]}"; do
    await_end "$pid" || kill -9 -- "-$pid" 2>/dev/null || true
  done
}

await_line() { await "$1" grep -qsF "$2" "$folder/$1.log"; }

# Waits until a command succeeds, unless the part that was launched last ends before: await NAME COMMAND …
await() {
  local name="$1" tries
  shift
  for ((tries = 0; tries < 300; tries++)); do
    if "$@"; then
      return
    fi
    runs "$launched" || break
    sleep 0.1
  done
  failed "$name"
}

# Whether the process is a running one of ours; a number that ended may be somebody else's by now.
runs() { [[ " $(jobs -pr | tr '\n' ' ')" == *" $1 "* ]]; }

failed() {
  cat "$folder/$1.log" >&2
  die "$1 did not start"
}

main "$@"
