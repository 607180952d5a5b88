#!/bin/sh
# Put the units, and what they need, in their places on Debian or Raspberry Pi OS; start nothing. May be repeated.
# Usage: sudo sh systemd/install.sh [CONFIG]   CONFIG becomes /etc/mdoc-reader/reader.toml, if there is none yet.
set -eu
here=$(cd "$(dirname "$0")" && pwd)

put() { # put FOLDER FILE...
    folder=$1
    shift
    install -d -m 0755 "$folder"
    install -m 0644 "$@" "$folder"
}

put /etc/systemd/system "$here"/*.service "$here"/*.timer "$here"/*.path
put /etc/systemd/system/bluetooth.service.d "$here"/bluetooth/bluetooth.service.d/*.conf
put /etc/bluetooth "$here"/bluetooth/main.conf
for kind in sysusers.d tmpfiles.d sysctl.d; do put "/etc/$kind" "$here/$kind"/*.conf; done
for kind in journald.conf.d system.conf.d; do put "/etc/systemd/$kind" "$here/$kind"/*.conf; done
put /etc/udev/rules.d "$here"/udev/*.rules
put /etc/dbus-1/system.d "$here"/dbus/*.conf
if [ $# -gt 0 ] && [ ! -e /etc/mdoc-reader/reader.toml ]; then
    install -D -m 0644 "$1" /etc/mdoc-reader/reader.toml
fi
# Secrets go here, sealed.
install -d -m 0700 /etc/credstore.encrypted

systemd-sysusers
systemd-tmpfiles --create /etc/tmpfiles.d/mdoc-reader.conf
sysctl -q -p /etc/sysctl.d/mdoc-reader.conf
udevadm control --reload
# As if they had just appeared: on a mere change their owners stay.
for kind in gpio i2c-dev spidev dma_heap; do udevadm trigger --action=add --subsystem-match="$kind"; done
systemctl reload dbus.service
systemctl daemon-reload
