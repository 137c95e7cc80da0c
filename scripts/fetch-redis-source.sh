#!/usr/bin/env bash
# Fetches the source of Redis 7.0 from where this machine gets its Debian packages, for scripts/redis-suite.sh.
#
#   scripts/fetch-redis-source.sh <directory>
#
# The source lands in <directory>/redis. The machine's own package lists stay as they are: sources of packages are asked
# for by a list of their own, made from those that there are. Ends with 1, having said why, where it cannot be had.
set -euo pipefail
directory="$(mkdir -p "${1:?a directory}" && cd "$1" && pwd)"
give_up() {
  echo "The source of Redis 7.0 cannot be had: $1." >&2
  exit 1
}

command -v apt-get >/dev/null 2>&1 || give_up 'there is no apt-get'

work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/lists/partial" "$work/parts"
for list in /etc/apt/sources.list.d/*.sources; do
  [ -e "$list" ] || continue
  sed 's/^Types:.*/Types: deb-src/' "$list" >"$work/parts/$(basename "$list")"
done
for list in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
  [ -e "$list" ] || continue
  sed -n 's/^deb /deb-src /p' "$list" >"$work/parts/$(basename "$list")"
done
apt=(timeout 120 apt-get -qq -o "Dir::Etc::sourcelist=/dev/null" -o "Dir::Etc::sourceparts=$work/parts"
  -o "Dir::State::lists=$work/lists" -o "Dir::Cache::pkgcache=" -o "Dir::Cache::srcpkgcache="
  -o "APT::Sandbox::User=root" -o "APT::Update::Error-Mode=any")

"${apt[@]}" update >"$work/log" 2>&1 || give_up "$(tail -n 1 "$work/log")"
(cd "$work" && "${apt[@]}" source --download-only redis >>"$work/log" 2>&1) || give_up "$(tail -n 1 "$work/log")"
archive="$(compgen -G "$work/redis_*.orig.tar.*" | grep -v '\.asc$' | head -n 1)" || give_up 'the package has no archive'
case "$(basename "$archive")" in
  redis_7.0.*) ;;
  *) give_up "what there is is $(basename "$archive"), and the tests are those of 7.0" ;;
esac
rm -rf "$directory/redis"
mkdir "$directory/redis"
tar -xf "$archive" -C "$directory/redis" --strip-components 1
