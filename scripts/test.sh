#!/usr/bin/env bash
# The one test command: sets up what is missing, then runs every test, in Rust and with the official JavaScript clients.
# Needs a Rust toolchain. Arguments go to the Rust test runner, for example a test's name.
set -euo pipefail

ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
cd "$ROOT"
# shellcheck source=scripts/env.sh
. "$ROOT/scripts/env.sh"

failed=()

main() {
  trap finish EXIT
  has cargo || die "a Rust toolchain is needed: see rustup.rs"
  has cc || apt_install gcc libc6-dev || die "a C compiler is needed"
  has node && has npm || apt_install nodejs npm || die "Node.js and npm are needed"
  node_modules static
  node_modules tests/js
  has redis-server || apt_install redis-server || die "redis-server is needed for the tests of several nodes"
  has openssl || apt_install openssl || die "openssl is needed for the certificates of a Redis over TLS"
  has nginx || apt_install nginx || die "nginx is needed for the transcripts on several nodes"
  has chromium || apt_install chromium || die "chromium is needed for the test of the try-out page"
  services

  if cargo nextest --version >/dev/null 2>&1; then
    cargo nextest run --no-fail-fast "$@" || failed+=(Rust)
  else
    cargo test --no-fail-fast "$@" || failed+=(Rust)
  fi
  cargo build --quiet || failed+=(build)
  HELPLINE_BIN="$CARGO_TARGET_DIR/debug/helpline" node tests/js/run.js || failed+=(JavaScript)
  HELPLINE_BIN="$CARGO_TARGET_DIR/debug/helpline" node tests/js/run.js --client 4.8 --transport upgrade --base /help/desk || failed+=("JavaScript at a base path")
  HELPLINE_BIN="$CARGO_TARGET_DIR/debug/helpline" node tests/js/run.js --nodes 2 --client 4.8 --transport polling,websocket || failed+=("JavaScript on several nodes")
  HELPLINE_BIN="$CARGO_TARGET_DIR/debug/helpline" node tests/js/reconnect.js || failed+=(reconnects)
  HELPLINE_BIN="$CARGO_TARGET_DIR/debug/helpline" node tests/js/reconnect.js --nodes 2 --client 4.8 || failed+=("reconnects to another server")
  CHROMIUM="$(command -v chromium)" HELPLINE_BIN="$CARGO_TARGET_DIR/debug/helpline" node tests/js/page.js || failed+=("the try-out page")

  [ "${#failed[@]}" -eq 0 ]
}

# Whatever happened, the services stop, and the last line says how it went.
finish() {
  local code=$?
  if [ -n "${folder:-}" ]; then
    scripts/services.sh down || true
    rm -rf "$folder"
  fi
  if [ "$code" -eq 0 ]; then
    echo "scripts/test.sh: all tests passed"
  else
    echo "scripts/test.sh: FAILED ${failed[*]:-while setting up}"
  fi
  exit "$code"
}

# Starts services of our own, so that two runs on one machine do not stop each other's.
services() {
  folder="$(mktemp -d)"
  export HELPLINE_SERVICES_ENV="$folder/services.env"
  scripts/services.sh up
  # shellcheck source=/dev/null
  . "$HELPLINE_SERVICES_ENV"
}

main "$@"
