#!/bin/busybox sh
# First process of the guest: in the initramfs it finds the disks and hands over to what the flavour's root starts with.
# Where that is this script again, it starts D-Bus and the agent.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
if [ "$1" != root ]; then
  /bin/busybox --install -s /bin
  mount -t devtmpfs dev /dev && mount -t proc proc /proc && mount -t sysfs sys /sys
  for module in /modules/*.ko; do insmod "$module" || echo "guest: insmod $module failed"; done
  disks=$(cat /disks)
  for name in $disks; do
    tries=0
    until disk=$(grep -lx "$name" /sys/block/vd*/serial 2>/dev/null); do
      tries=$((tries + 1)); [ $tries -gt 200 ] && { echo "guest: no disk $name"; poweroff -f; }
      sleep 0.05
    done
    disk=${disk%/serial}
    mkdir -p "/disk/$name"
    mount -t squashfs -o ro "/dev/${disk##*/}" "/disk/$name" || { echo "guest: cannot mount $name"; poweroff -f; }
  done
  mkdir -p /over /new
  mount -t tmpfs -o size=60% over /over
  mkdir /over/upper /over/work
  mount -t overlay -o lowerdir=/disk/root,upperdir=/over/upper,workdir=/over/work root /new || poweroff -f
  for name in $disks; do
    [ "$name" = root ] || mount --move "/disk/$name" "/new/opt/$name"
  done
  for name in dev proc sys; do mount --move "/$name" "/new/$name"; done
  mount -t tmpfs run /new/run
  mount -t tmpfs tmp /new/tmp
  mkdir /new/run/guest
  cp /init /agent.py /new/run/guest/
  cp /bin/busybox /new/run/guest/busybox
  tr -d - < /new/proc/sys/kernel/random/uuid > /new/etc/machine-id
  # Unquoted: a program and its arguments.
  exec switch_root /new $(cat /first)
fi

box=/run/guest/busybox
$box mkdir -p /dev/pts /dev/shm /run/dbus /var/lib/dbus /var/lib/bluetooth
$box mount -t devpts devpts /dev/pts
$box mount -t tmpfs shm /dev/shm
$box hostname guest
$box ip link set lo up
export HOME=/root LANG=C.UTF-8 PYTHONUNBUFFERED=1 DBUS_SYSTEM_BUS_ADDRESS=unix:path=/run/dbus/system_bus_socket
export PYTHONPATH=/opt/project:/opt/packages PYTHONPYCACHEPREFIX=/run/pycache
dbus-daemon --system --fork --nopidfile || echo "guest: no D-Bus"
if $box grep -q guest.shell /proc/cmdline; then
  $box setsid $box cttyhack $box sh -c 'exec $0 sh -l' $box
else
  # In the background, so that this shell reaps what others leave behind.
  python3 -ES /run/guest/agent.py &
  wait $!
  echo "guest: the agent ended with $?"
fi
$box poweroff -f
