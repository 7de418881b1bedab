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

# Installs Debian packages where we may; elsewhere says what is missing.
apt_install() {
  if [ "$(id -u)" -ne 0 ] || ! has apt-get; then
    say "please install: $*"
    return 1
  fi
  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >&2
}

# A fast linker halves the time from an edit to its test. The same flags in every script, or each would build everything anew.
if [ -z "${RUSTFLAGS+set}" ] && [ "$(uname -s)" = Linux ] && has cc; then
  for linker in mold lld; do
    if has "$linker" && printf 'int main(void) { return 0; }' | cc "-fuse-ld=$linker" -x c - -o /dev/null 2>/dev/null; then
      export RUSTFLAGS="-C link-arg=-fuse-ld=$linker"
      break
    fi
  done
fi
