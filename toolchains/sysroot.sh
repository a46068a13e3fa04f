#!/bin/sh
# sysroot.sh ARCHITECTURE DIRECTORY PACKAGE...
#
# Makes DIRECTORY/sysroot from Debian packages of a foreign architecture and all they depend on.
# apt runs on a configuration and a package state of its own, and packages are unpacked, never
# installed: this machine stays as it is. Uses its package sources; needs no root.
set -eu
architecture=$1
directory=$2
shift 2
mkdir -p "$directory"
directory=$(cd "$directory" && pwd)

wanted="$architecture $*"
if [ -f "$directory/sysroot.stamp" ] && [ "$(cat "$directory/sysroot.stamp")" = "$wanted" ]; then
  exit 0
fi

apt="$directory/apt"
rm -rf "$directory/sysroot" "$directory/sysroot.stamp" "$apt/cache"
mkdir -p "$apt/state/lists/partial" "$apt/cache/archives/partial" "$apt/dpkg" "$apt/parts"
: >"$apt/dpkg/status"
{
  # How this machine reaches its package sources, without the hooks that belong to its own state.
  apt-config dump Acquire
  cat <<EOF
Dir::Etc::Main "$apt/none";
Dir::Etc::Parts "$apt/parts";
Dir::State "$apt/state";
Dir::State::status "$apt/dpkg/status";
Dir::Cache "$apt/cache";
APT::Architecture "$architecture";
#clear APT::Architectures;
APT::Architectures { "$architecture"; };
APT::Install-Recommends "false";
APT::Sandbox::User "$(id -un)";
EOF
} >"$apt/apt.conf"
APT_CONFIG="$apt/apt.conf"
export APT_CONFIG

log="$directory/sysroot.log"
# A source that cannot be read now matters only if something is missing then.
apt-get update >"$log" 2>&1 || echo "sysroot: not all package lists could be read (log: $log)" >&2
if ! apt-get install -y --download-only "$@" >>"$log" 2>&1; then
  tail -n 20 "$log" >&2
  echo "sysroot: no packages for $architecture (log: $log)" >&2
  exit 1
fi

sysroot="$directory/sysroot"
# As every Debian 12 system has it: packages name the same file by both ways.
mkdir -p "$sysroot/usr/lib" "$sysroot/usr/bin" "$sysroot/usr/sbin"
for name in lib bin sbin; do ln -s "usr/$name" "$sysroot/$name"; done
for package in "$apt"/cache/archives/*.deb; do
  # Through tar: dpkg-deb itself would replace the three links above by directories.
  dpkg-deb --fsys-tarfile "$package" | tar -x -C "$sysroot" --keep-directory-symlink --no-same-owner
done
# Absolute links would lead out of the sysroot.
find "$sysroot" -type l -lname '/*' | while read -r link; do
  ln -snf "$(realpath -m --relative-to "$(dirname "$link")" "$sysroot$(readlink "$link")")" "$link"
done
rm -rf "$apt/cache"
printf '%s' "$wanted" >"$directory/sysroot.stamp"
