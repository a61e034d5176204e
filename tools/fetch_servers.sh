#!/usr/bin/env bash
# Puts the real servers that the tests start under .servers/, from Debian packages, without root: nothing is installed
# and no service starts. Asks the mirror that the machine itself is set up with. Run it as often as you like; it does
# something only when the list below has changed.
#
#   tools/fetch_servers.sh [SUITE...]      default: every suite
set -euo pipefail
cd "$(dirname "$0")/.."
DEST=$PWD/.servers

# One line per server; a suite is a Debian release. Libraries that a plain machine lacks stand beside their server.
bookworm=(
  redis-server redis-sentinel redis-tools libjemalloc2 liblzf1 libatomic1 libssl3 libsystemd0 libcap2 libgcrypt20
  libgpg-error0 liblzma5 libzstd1 liblz4-1 libstdc++6
  etcd-server etcd-client
)
SUITES=(bookworm)

for tool in apt-get dpkg-deb flock; do
  if ! command -v "$tool" >/dev/null; then
    echo "Cannot fetch servers: $tool is missing, and only Debian packages are known here (servers on PATH are used)" >&2
    exit 3
  fi
done

mirror() {
  { cat /etc/apt/sources.list.d/debian.sources 2>/dev/null || true; } | awk '/^URIs:/ { print $2; exit }' | grep . ||
    { cat /etc/apt/sources.list 2>/dev/null || true; } | awk '$1 == "deb" { for (i = 2; i <= NF; i++) if ($i ~ /:\/\//) { print $i; exit } }' | grep . ||
    { echo "Cannot fetch servers: no Debian mirror in /etc/apt (servers on PATH are used)" >&2; return 1; }
}

# apt with a state of its own, so that it sees an empty machine and touches nothing of this one.
private_apt() {
  local state=$1; shift
  apt-get -qq -o Dir::State::Lists="$state/lists" -o Dir::State::status="$state/status" -o Dir::Cache="$state" \
    -o Dir::Etc::SourceList=/nonexistent -o Dir::Etc::SourceParts="$state/sources" -o Debug::NoLocking=1 \
    -o APT::Sandbox::User="$(id -un)" -o Acquire::Languages=none -o Acquire::Retries=3 "$@"
}

describe_source() {
  printf 'Types: deb\nURIs: %s\nSuites: %s\nComponents: main\nSigned-By: %s\n' \
    "$2" "$1" /usr/share/keyrings/debian-archive-keyring.gpg
}

# Unpacks beside the old tree and swaps at the end: a test that runs meanwhile never sees half a server.
fetch() {
  local suite=$1 url=$2; shift 2
  local state=$DEST/.apt/$suite new=$DEST/$suite.new
  rm -rf "$new" "$state/debs"
  mkdir -p "$state"/{sources,lists/partial,archives/partial,debs} "$new"
  : >"$state/status"
  describe_source "$suite" "$url" >"$state/sources/$suite.sources"
  private_apt "$state" update
  (cd "$state/debs" && private_apt "$state" download "$@")
  local deb; for deb in "$state"/debs/*.deb; do dpkg-deb -x "$deb" "$new"; done
  rm -rf "$state/debs" "$new"/usr/share/{doc,man,locale,lintian,bug} "$new"/{etc,lib/systemd,usr/lib/systemd}
  printf '%s\n' "$*" >"$new/.fetched"
  rm -rf "${DEST:?}/$suite" && mv "$new" "$DEST/$suite"
}

mkdir -p "$DEST"
exec 9>"$DEST/.lock"
flock 9
[ $# -gt 0 ] || set -- "${SUITES[@]}"
for suite in "$@"; do
  declare -n packages=$suite
  wanted="${packages[*]}"
  [ "$(cat "$DEST/$suite/.fetched" 2>/dev/null || true)" = "$wanted" ] && continue
  echo "Fetching servers from Debian $suite: $wanted" >&2
  url=$(mirror)
  # Not behind `||` or `if`: there bash would ignore set -e inside the function.
  fetch "$suite" "$url" "${packages[@]}"
done
