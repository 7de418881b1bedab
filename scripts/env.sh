# shellcheck shell=bash
# What the scripts agree on. Sourced, never run; needs ROOT, the folder of the clone.

CACHE="${XDG_CACHE_HOME:-$HOME/.cache}/helpline"
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$CACHE/target}"
mkdir -p "$CACHE" "$CARGO_TARGET_DIR"

say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }
die() {
  say "$*"
  exit 1
}
has() { command -v "$1" >/dev/null 2>&1; }

# Installs Debian packages where we may; elsewhere says what is missing. Servers among them are not started: scripts start their own.
apt_install() {
  if [ "$(id -u)" -ne 0 ] || ! has apt-get; then
    say "please install: $*"
    return 1
  fi
  apt-get update -qq && SYSTEMD_OFFLINE=1 DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >&2
}

# Installs the packages of a folder exactly as its lock file says, unless that was done already.
node_modules() {
  local lock="$1/package-lock.json" done="$1/node_modules/.installed-lock.json"
  if cmp -s "$lock" "$done"; then
    return
  fi
  npm ci --prefix "$1" --prefer-offline --no-audit --no-fund >&2
  cp "$lock" "$done"
}

# Waits until a process is gone, for ten seconds at most.
await_end() {
  local tries
  for ((tries = 0; tries < 100; tries++)); do
    kill -0 "$1" 2>/dev/null || return 0
    sleep 0.1
  done
  return 1
}

# Whether something listens on a loopback port.
listens() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# A loopback port on which nothing listens now.
free_port() {
  local port
  while port=$((20000 + RANDOM % 10000)) && listens "$port"; do :; done
  echo "$port"
}

# So many random bytes, in hexadecimal digits.
random() { od -An -tx1 -N"$1" /dev/urandom | tr -d ' \n'; }

# A fast linker halves the time from an edit to its test. The same flags in every script, or each would build everything anew.
if [ -z "${RUSTFLAGS+set}" ] && [ "$(uname -s)" = Linux ] && has cc; then
  for linker in mold lld; do
    if has "$linker" && printf 'int main(void) { return 0; }' | cc "-fuse-ld=$linker" -x c - -o /dev/null 2>/dev/null; then
      export RUSTFLAGS="-C link-arg=-fuse-ld=$linker"
      break
    fi
  done
fi
