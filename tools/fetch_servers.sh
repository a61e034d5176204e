#!/usr/bin/env bash
# Puts the real servers that the tests start under .servers/, from Debian packages, without root: nothing is installed
# and no service starts. Asks the mirror that the machine itself is set up with. Run it as often as you like; it does
# something only when the list below has changed. All checkouts of a machine share what was fetched: .servers/ holds
# links into COORD_SERVERS, by default a folder of one's own in /var/tmp; remove that to fetch anew.
#
#   tools/fetch_servers.sh [SUITE...]      default: every suite
set -euo pipefail
cd "$(dirname "$0")/.."
DEST=$PWD/.servers
# Readable for all: some servers run as another user.
CACHE=${COORD_SERVERS:-/var/tmp/coord-servers-$(id -u)}

# One line per server; a suite is a Debian release. Libraries that a plain machine lacks stand beside their server. A "+"
# takes all that a package depends on: what is too new for the machine's C library brings its own.
bookworm=(
  redis-server redis-sentinel redis-tools libjemalloc2 liblzf1 libatomic1 libssl3 libsystemd0 libcap2 libgcrypt20
  libgpg-error0 liblzma5 libzstd1 liblz4-1 libstdc++6
  etcd-server etcd-client
  libzookeeper-java libslf4j-java libdropwizard-metrics-java libsnappy-java libnetty-java
  openssl
  memcached libevent-2.1-7 libsasl2-2
  mariadb-server-core libaio1 liburing2 libsnappy1v5
  pgbouncer libc-ares2 libpam0g libaudit1 libcap-ng0
)
bullseye=(
  consul etcd-server libzookeeper-java libslf4j-java libnetty-java
  redis-server redis-tools libatomic1 libhiredis0.14 libjemalloc2 liblua5.1-0 liblzf1 libssl1.1 lua-bitop lua-cjson
)
trixie=(memcached+ mariadb-server-core+ postgresql-17+)
# Changes from day to day: when it cannot be had, what it gives is named as missing, and the others go on.
sid=(
  etcd-server libzookeeper-java libslf4j-java libdropwizard-metrics-java libsnappy-java
  memcached+
  redis-server+ valkey-server+
  mysql-server-core+
  postgresql-18+
)
SUITES=(bookworm bullseye trixie sid)

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
    -o APT::Sandbox::User="$(id -un)" -o Acquire::Languages=none -o Acquire::Retries=3 \
    -o Acquire::http::Timeout=15 -o Acquire::https::Timeout=15 "$@"
}

describe_source() {
  printf 'Types: deb\nURIs: %s\nSuites: %s\nComponents: main\nSigned-By: %s\n' \
    "$2" "$1" /usr/share/keyrings/debian-archive-keyring.gpg
}

# What packages depend on, less what no server loads.
dependencies() {
  local state=$1; shift
  private_apt "$state" --simulate --no-install-recommends install "$@" | awk '/^Inst/ { print $2 }' |
    grep -Ev '^(perl|libperl|libdb5|libgdbm|libc-gconv|debconf|libdebconf|libpam|passwd|adduser|login|systemd|base-|libbz2|libaudit|libselinux|libsemanage|libsepol|libmount|libblkid)|-base$'
}

# Unpacks packages as they are.
fetch_plain() {
  local state=$1 new=$2; shift 2
  (cd "$state/debs" && private_apt "$state" download "$@")
  local deb; for deb in "$state"/debs/*.deb; do dpkg-deb -x "$deb" "$new"; done
}

# Unpacks packages with all that they depend on, and puts programs beside the others' that start theirs.
fetch_whole() {
  local state=$1 new=$2; shift 2
  local packages deb program
  packages=$(dependencies "$state" "$@")
  # shellcheck disable=SC2086
  (cd "$state/whole" && private_apt "$state" download $packages)
  for deb in "$state"/whole/*.deb; do dpkg-deb -x "$deb" "$new/whole"; done
  mkdir -p "$new"/usr/{bin,sbin}
  for deb in "${@/#/$state/whole/}"; do
    dpkg-deb --fsys-tarfile "$deb"_*.deb | tar -t | { grep -E '^\./usr/s?bin/.' || true; } | wrap "$new"
  done
  # These start one another from the folder that they find themselves in, and look for their files beside it.
  local home; for home in "$new"/whole/usr/lib/postgresql/*; do
    home=${home#"$new/whole/"}
    (cd "$new/whole" && find "./$home/bin" -type f) | wrap "$new" '--argv0 "$0"'
    ln -s "../../../../whole/$home/lib" "$new/$home/lib"
    mkdir -p "$new/usr/share" && ln -sfn ../../whole/usr/share/postgresql "$new/usr/share/postgresql"
  done
}

# Puts a script in the place of each program that is named, to start it with its own libraries, and with these options.
wrap() {
  local new=$1 options=${2:-} program up
  while read -r program; do
    up=$(dirname "${program#./}" | sed 's#[^/]*#..#g')
    mkdir -p "$(dirname "$new/$program")"
    printf '#!/bin/sh\nroot=$(dirname "$(readlink -f "$0")")/%s/whole\n' "$up" >"$new/$program"
    # A loader and its C library belong together.
    printf 'libs=$(echo "$root"/usr/lib/*-linux-gnu)\nexec "$libs"/ld-linux*.so.? --library-path "$libs" %s "$root/%s" "$@"\n' \
      "$options" "${program#./}" >>"$new/$program"
    chmod +x "$new/$program"
  done
}

# Where what is listed of a suite lies once it was fetched.
place() {
  local suite=$1; shift
  echo "$CACHE/$suite-$(printf '%s\n' "$(uname -m)" "$@" | sha256sum | cut -c1-16)"
}

# Unpacks beside the place and moves at the end: nobody ever sees half a server.
fetch() {
  local suite=$1 url=$2; shift 2
  local state=$CACHE/.apt/$suite new=$CACHE/$suite.new
  rm -rf "$new" "$state/debs"
  mkdir -p "$state"/{sources,lists/partial,archives/partial,debs,whole} "$new"
  : >"$state/status"
  describe_source "$suite" "$url" >"$state/sources/$suite.sources"
  private_apt "$state" update
  local package whole=() plain=()
  for package in "$@"; do
    if [[ $package == *+ ]]; then whole+=("${package%+}"); else plain+=("$package"); fi
  done
  if [ ${#whole[@]} -gt 0 ]; then fetch_whole "$state" "$new" "${whole[@]}"; fi
  if [ ${#plain[@]} -gt 0 ]; then fetch_plain "$state" "$new" "${plain[@]}"; fi
  rm -rf "$state" "$new"/{,whole/}usr/share/{doc,man,locale,lintian,bug,maven-repo} "$new"/{etc,lib/systemd,usr/lib/systemd} \
    "$new"/usr/bin/etcdutl
  mv "$new" "$(place "$suite" "$@")"
}

# Makes .servers/SUITE lead to what was fetched.
link() {
  local to=$DEST/$1
  [ "$(readlink "$to" || true)" = "$2" ] && return
  rm -rf "${to:?}" && ln -s "$2" "$to"
}

mkdir -p "$DEST" "$CACHE"
if [ ! -O "$CACHE" ]; then
  echo "Cannot fetch servers: $CACHE belongs to somebody else; set COORD_SERVERS to a folder of your own" >&2
  exit 3
fi
exec 9>"$CACHE/.lock"
flock 9
[ $# -gt 0 ] || set -- "${SUITES[@]}"
status=0
# Twice: a mirror may fail for a moment.
for attempt in 1 2; do
  declare -A running=()
  for suite in "$@"; do
    declare -n packages=$suite
    place=$(place "$suite" "${packages[@]}")
    [ -d "$place" ] && link "$suite" "$place" && continue
    echo "Fetching servers from Debian $suite: ${packages[*]}" >&2
    url=$(mirror)
    # Not behind `||` or `if`: there bash would ignore set -e inside the function.
    fetch "$suite" "$url" "${packages[@]}" &
    running[$suite]=$!
  done
  for suite in "${!running[@]}"; do
    declare -n packages=$suite
    if wait "${running[$suite]}"; then
      link "$suite" "$(place "$suite" "${packages[@]}")"
      continue
    fi
    rm -rf "$CACHE/$suite.new" "$CACHE/.apt/$suite"
    [ "$attempt" = 1 ] && continue
    echo "NOT FETCHED from Debian $suite: ${packages[*]}" >&2
    [ "$suite" = sid ] || status=1
  done
done
exit $status
