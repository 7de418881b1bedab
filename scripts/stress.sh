#!/usr/bin/env bash
# The faults of two nodes in full size, one after the other, on a release build: scripts/stress.sh [fault ...]
#
# Prints what was measured as a table. Takes about ten minutes after the build, and wants the machine for itself. A fault is a file of
# tests/it/cluster; sizes can be set, for example HELPLINE_STRESS_JITTER_CLIENTS=10000.
set -euo pipefail

ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
cd "$ROOT"
# shellcheck source=scripts/env.sh
. "$ROOT/scripts/env.sh"

FAULTS=(killed_node redis_outage database_outage slow_readers jitter avalanche owners rolling)

sizes() {
  export HELPLINE_STRESS_KILLS="${HELPLINE_STRESS_KILLS:-100}"
  export HELPLINE_STRESS_REDIS_SECONDS="${HELPLINE_STRESS_REDIS_SECONDS:-30}"
  export HELPLINE_STRESS_DATABASE_SECONDS="${HELPLINE_STRESS_DATABASE_SECONDS:-10}"
  export HELPLINE_STRESS_SLOW_SECONDS="${HELPLINE_STRESS_SLOW_SECONDS:-10}"
  export HELPLINE_STRESS_JITTER_CLIENTS="${HELPLINE_STRESS_JITTER_CLIENTS:-2000}"
  export HELPLINE_STRESS_JITTER_SECONDS="${HELPLINE_STRESS_JITTER_SECONDS:-160}"
  export HELPLINE_STRESS_JITTER_EVERY="${HELPLINE_STRESS_JITTER_EVERY:-15}"
  export HELPLINE_STRESS_JITTER_AWAY="${HELPLINE_STRESS_JITTER_AWAY:-2}"
  export HELPLINE_STRESS_AVALANCHE_CLIENTS="${HELPLINE_STRESS_AVALANCHE_CLIENTS:-5000}"
  export HELPLINE_STRESS_DEPLOYMENTS="${HELPLINE_STRESS_DEPLOYMENTS:-20}"
}

main() {
  trap finish EXIT
  [ "$#" -gt 0 ] || set -- "${FAULTS[@]}"
  has cargo || die "a Rust toolchain is needed: see rustup.rs"
  has redis-server || apt_install redis-server || die "redis-server is needed"
  # A client and a server's end of its connection are two files, and a cut one may stay open for a while.
  ulimit -n "$(ulimit -Hn)"
  sizes
  folder="$(mktemp -d)"
  services
  export HELPLINE_FIGURES="$folder/figures"
  : >"$HELPLINE_FIGURES"
  cargo test --release --test it --no-run --quiet
  local fault
  for fault in "$@"; do
    stress "$fault"
  done
}

# Runs the tests of a fault; one that fails before it has measured anything stands in the table too.
stress() {
  say "$1"
  local before
  before="$(wc -l <"$HELPLINE_FIGURES")"
  if ! cargo test --release --test it --quiet -- "cluster::$1::" >"$folder/$1.log" 2>&1; then
    failed=1
    cat "$folder/$1.log" >&2
    if [ "$(wc -l <"$HELPLINE_FIGURES")" -eq "$before" ]; then
      printf '%s\t\t\tnothing was measured\tFAILED\n' "$1" >>"$HELPLINE_FIGURES"
    fi
  fi
}

table() {
  { printf 'fault\tsize\tbar\tmeasured\t\n' && cat "$HELPLINE_FIGURES"; } | awk -F '\t' '
    { for (i = 1; i <= 5; i++) { cell[NR, i] = $i; if (length($i) > width[i]) width[i] = length($i) } }
    END { for (n = 1; n <= NR; n++) { for (i = 1; i <= 5; i++) printf "%-" width[i] "s  ", cell[n, i]; print "" } }'
}

# Whatever happened, what was measured is shown, the services stop, and the last line says how it went.
finish() {
  local code=$?
  if [ -s "${HELPLINE_FIGURES:-/dev/null}" ]; then
    table
  fi
  if [ -n "${folder:-}" ]; then
    scripts/services.sh down || true
    rm -rf "$folder"
  fi
  if [ "$code" -eq 0 ] && [ -z "${failed:-}" ]; then
    echo "scripts/stress.sh: every bar was met"
  else
    echo "scripts/stress.sh: FAILED"
    exit 1
  fi
}

# Services of our own, so that two runs on one machine do not stop each other's.
services() {
  export HELPLINE_SERVICES_ENV="$folder/services.env"
  scripts/services.sh up
  # shellcheck source=/dev/null
  . "$HELPLINE_SERVICES_ENV"
}

main "$@"
