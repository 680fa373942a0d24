#!/bin/sh
# The first process of the virtual machine of oci-cgroup2-qemu.test.ts, twice: first on the initial ramdisk, whose root
# cannot be pivoted, then on a tmpfs. Prints "T NAME=VALUE" lines; a test reads them on the other side.
PATH=/bin
export PATH
if [ ! -e /second ]; then
  busybox mkdir -p /new
  busybox mount -t tmpfs -o mode=755 tmpfs /new
  busybox cp -a /bin /init /bundle /new/
  busybox touch /new/second
  exec busybox switch_root /new /init
fi
busybox mkdir -p /proc /sys /dev /tmp /run
busybox mount -t proc proc /proc
busybox --install -s /bin
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mount -t cgroup2 cgroup2 /sys/fs/cgroup

top=/sys/fs/cgroup
say() { echo "T $1=$2"; }
first() { head -n 1 "$1" 2>/dev/null; }
oci() { gantry-oci --root /run/oci "$@"; }
quiet() { oci "$@" </dev/null >/tmp/out 2>&1; say "rc.$1" $?; [ ! -s /tmp/out ] || sed 's/^/O /' /tmp/out; }
status() { oci state c | sed -n 's/.*"status": *"\(.*\)".*/\1/p'; }
config() { cp "/bundle/$1.json" /bundle/config.json; }

say controllers "$(cat $top/cgroup.controllers)"
config limits
quiet create --bundle /bundle c
own=$top/box/c
for file in memory.max memory.low memory.high memory.swap.max cpu.weight cpu.max cpu.max.burst pids.max cpuset.cpus; do
  say "$file" "$(first $own/$file)"
done
say procs "$(wc -l <$own/cgroup.procs)"
quiet start c
say status "$(status)"
say cgroup "$(oci exec c cat /proc/self/cgroup)"
say mount "$(oci exec c cat /sys/fs/cgroup/pids.max)"
say null "$(oci exec c sh -c 'echo x >/dev/null && echo usable' 2>&1)"
say denied "$(oci exec c sh -c 'mknod /tmp/kmsg c 1 11 && cat /tmp/kmsg' 2>&1)"
quiet pause c
say frozen "$(grep frozen $own/cgroup.events)"
say paused "$(status)"
quiet resume c
say thawed "$(grep frozen $own/cgroup.events)"
quiet update --memory 50331648 --memory-swap 50331648 --cpu-share 2048 --pids-limit 9 c
for file in memory.max memory.swap.max cpu.weight pids.max; do say "updated.$file" "$(first $own/$file)"; done
quiet update --memory-swap 1 c
say kept "$(first $own/memory.max)"
say events "$(oci events --stats c)"
mkdir $own/child
quiet delete --force c
say gone "$([ -e $own ] || echo yes)"

config oom
oci run --bundle /bundle c </dev/null >/tmp/out 2>&1
say oom $?
config pids
oci run --bundle /bundle c </dev/null >/tmp/out 2>&1
say forks "$(grep -c "can't fork" /tmp/out)"

config owner
quiet create --bundle /bundle c
for file in . cgroup.procs cgroup.subtree_control cgroup.threads memory.max; do
  say "owner.$file" "$(stat -c %u $own/$file)"
done
quiet start c
say nested "$(oci exec c sh -c 'mkdir /sys/fs/cgroup/in && echo $$ >/sys/fs/cgroup/in/cgroup.procs && cat /proc/self/cgroup' 2>&1)"
oci exec c sh -c 'mkdir /sys/fs/cgroup/init
for pid in $(cat /sys/fs/cgroup/cgroup.procs) $$; do echo $pid >/sys/fs/cgroup/init/cgroup.procs; done
echo +pids >/sys/fs/cgroup/cgroup.subtree_control' >/tmp/out 2>&1
say split "$(first $own/cgroup.subtree_control) $(oci exec c cat /proc/self/cgroup 2>&1)"
quiet delete --force c

mkdir -p $own
sleep 1000 &
echo $! >$own/cgroup.procs
config limits
quiet create --bundle /bundle c
kill %1
say done yes
poweroff -f
