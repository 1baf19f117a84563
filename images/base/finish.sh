#!/bin/sh
# Last step of the base image, run inside it: busybox stands in for every command that Debian's minimal base lacks
# (nslookup, ps, ping, vi ...). What Debian brings itself stays Debian's.
set -eu
for applet in $(busybox --list); do
	command -v "$applet" >/dev/null 2>&1 || ln -s /usr/bin/busybox "/usr/bin/$applet" 2>/dev/null || true
done
[ -e /usr/bin/busybox ] || ln -s /bin/busybox /usr/bin/busybox
rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/cache/debconf/* /var/log/*.log
