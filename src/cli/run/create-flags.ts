/** The flags of run and create: a flat catalogue, in the order of the help. */
import { FlagError } from "../errors.ts";
import type { Flag } from "../flags/flag.ts";
import {
  readAddHost,
  readAttach,
  readDns,
  readDnsSearch,
  readEnv,
  readLabel,
  readSysctl,
} from "./read-values.ts";
import { checkedBy, parseByteRate, parseDeviceWeight, parseOperationRate } from "./parse-block-limits.ts";
import { parseGpus } from "./parse-gpus.ts";
import { readMount } from "./parse-mount.ts";
import { readNetwork } from "./parse-networks.ts";
import { readDeviceRule } from "./parse-security.ts";
import { readUlimit } from "./parse-ulimit.ts";

function readWeight(text: string): string {
  if (!/^\d+$/.test(text) || Number(text) > 65_535)
    throw new FlagError(`strconv.ParseUint: parsing ${JSON.stringify(text)}: invalid syntax`);
  return text;
}

export const createFlags: readonly Flag[] = [
  {
    name: "add-host",
    kind: "list",
    read: readAddHost,
    help: "Add a line to /etc/hosts (host:ip; ip may be host-gateway)",
  },
  { name: "annotation", kind: "map", help: "Add an annotation for the OCI runtime" },
  { name: "attach", short: "a", kind: "list", read: readAttach, help: "Attach to STDIN, STDOUT or STDERR" },
  {
    name: "blkio-weight",
    kind: "uint16",
    read: readWeight,
    help: "Relative block I/O weight: 10 to 1000, 0 for none",
  },
  {
    name: "blkio-weight-device",
    kind: "list",
    read: checkedBy(parseDeviceWeight),
    help: "Relative block I/O weight of a device (/dev/sda:300)",
  },
  { name: "cap-add", kind: "list", help: "Add Linux capabilities" },
  { name: "cap-drop", kind: "list", help: "Drop Linux capabilities" },
  { name: "cgroup-parent", kind: "string", help: "Parent cgroup of the container" },
  { name: "cgroupns", kind: "string", help: "Cgroup namespace: host or private" },
  { name: "cidfile", kind: "string", help: "Write the container ID to this file" },
  { name: "cpu-period", kind: "int", help: "Length of a CPU quota period, in microseconds" },
  { name: "cpu-quota", kind: "int", help: "CPU time in each period, in microseconds" },
  { name: "cpu-rt-period", kind: "int", help: "Length of a real-time period, in microseconds" },
  { name: "cpu-rt-runtime", kind: "int", help: "Real-time CPU time in each period, in microseconds" },
  { name: "cpu-shares", short: "c", kind: "int", help: "CPU shares (relative weight)" },
  { name: "cpus", kind: "decimal", help: "Number of CPUs" },
  { name: "cpuset-cpus", kind: "string", help: "CPUs the container may run on (0-3, 0,1)" },
  { name: "cpuset-mems", kind: "string", help: "Memory nodes the container may use (0-3, 0,1)" },
  { name: "device", kind: "list", help: "Add a host device (host[:container[:rwm]])" },
  {
    name: "device-cgroup-rule",
    kind: "list",
    read: readDeviceRule,
    help: "Add a rule to the list of allowed devices",
  },
  ...(
    [
      ["device-read-bps", parseByteRate, "Bytes a second read from a device (/dev/sda:1mb)"],
      ["device-read-iops", parseOperationRate, "Reads a second from a device (/dev/sda:1000)"],
      ["device-write-bps", parseByteRate, "Bytes a second written to a device (/dev/sda:1mb)"],
      ["device-write-iops", parseOperationRate, "Writes a second to a device (/dev/sda:1000)"],
    ] as const
  ).map(([name, parse, help]): Flag => ({ name, kind: "list", read: checkedBy(parse), help })),
  { name: "dns", kind: "list", read: readDns, help: "Use this DNS server" },
  { name: "dns-option", kind: "list", also: ["dns-opt"], help: "Set a DNS option" },
  { name: "dns-search", kind: "list", read: readDnsSearch, help: "Set a DNS search domain" },
  { name: "domainname", kind: "string", help: "NIS domain name of the container" },
  { name: "entrypoint", kind: "string", help: "Replace the ENTRYPOINT of the image" },
  {
    name: "env",
    short: "e",
    kind: "list",
    read: readEnv,
    help: "Set an environment variable (NAME=value; NAME takes ours)",
  },
  { name: "env-file", kind: "list", help: "Read environment variables from a file" },
  { name: "expose", kind: "list", help: "Expose a port or a range of ports" },
  { name: "gpus", kind: "gpus", read: checkedBy(parseGpus), help: "Add GPUs (all, or how many)" },
  { name: "group-add", kind: "list", help: "Add a supplementary group" },
  { name: "health-cmd", kind: "string", help: "Command that checks the container's health" },
  { name: "health-interval", kind: "duration", help: "Time between checks (ms|s|m|h)" },
  { name: "health-retries", kind: "int", help: "Failures in a row that mean unhealthy" },
  {
    name: "health-start-interval",
    kind: "duration",
    help: "Time between checks during the start period (ms|s|m|h)",
  },
  {
    name: "health-start-period",
    kind: "duration",
    help: "Time to start up before failures count (ms|s|m|h)",
  },
  { name: "health-timeout", kind: "duration", help: "Longest time of one check (ms|s|m|h)" },
  { name: "hostname", short: "h", kind: "string", help: "Host name of the container" },
  { name: "init", kind: "bool", help: "Run an init that forwards signals and reaps processes" },
  { name: "interactive", short: "i", kind: "bool", help: "Keep STDIN open" },
  { name: "ip", kind: "string", help: "IPv4 address (172.30.100.104)" },
  { name: "ip6", kind: "string", help: "IPv6 address (2001:db8::33)" },
  { name: "ipc", kind: "string", help: "IPC namespace to use" },
  { name: "isolation", kind: "string", help: "Isolation technology: default" },
  { name: "kernel-memory", kind: "bytes", help: "No kernel limits it any more", hidden: true },
  { name: "label", short: "l", kind: "list", read: readLabel, help: "Set a label" },
  { name: "label-file", kind: "list", help: "Read labels from a file, one a line" },
  { name: "link", kind: "list", help: "Add a link to another container", hidden: true },
  { name: "link-local-ip", kind: "list", help: "Link-local addresses of the container", hidden: true },
  { name: "log-driver", kind: "string", help: "Logging driver of the container" },
  { name: "log-opt", kind: "list", help: "Option of the logging driver" },
  { name: "mac-address", kind: "string", help: "MAC address (92:d0:c6:0a:29:33)" },
  { name: "memory", short: "m", kind: "bytes", help: "Memory limit (512m, 1g)" },
  { name: "memory-reservation", kind: "bytes", help: "Memory soft limit" },
  { name: "memory-swap", kind: "swap", help: "Memory and swap together; -1: unlimited swap" },
  { name: "memory-swappiness", kind: "int", preset: "-1", help: "Swappiness (0 to 100)" },
  {
    name: "mount",
    kind: "mount",
    read: readMount,
    help: "Attach a mount (type=bind,src=/a,dst=/b,readonly)",
  },
  { name: "name", kind: "string", help: "Name of the container" },
  { name: "network", kind: "network", also: ["net"], read: readNetwork, help: "Connect to a network" },
  {
    name: "network-alias",
    kind: "list",
    also: ["net-alias"],
    help: "Add a name for the container on its network",
  },
  { name: "no-healthcheck", kind: "bool", help: "Ignore the image's HEALTHCHECK" },
  { name: "oom-kill-disable", kind: "bool", help: "Do not kill the container when its memory is used up" },
  { name: "oom-score-adj", kind: "int", help: "Preference of the OOM killer (-1000 to 1000)" },
  { name: "pid", kind: "string", help: "PID namespace to use" },
  { name: "pids-limit", kind: "int", help: "Limit of processes (-1 for unlimited)" },
  { name: "platform", kind: "string", help: "Platform of the image" },
  { name: "privileged", kind: "bool", help: "Give the container all rights" },
  {
    name: "publish",
    short: "p",
    kind: "list",
    help: "Publish a port on the host ([ip:][host:]container[/proto])",
  },
  { name: "publish-all", short: "P", kind: "bool", help: "Publish all exposed ports to random ports" },
  {
    name: "pull",
    kind: "string",
    preset: "missing",
    help: 'Pull the image first ("always", "missing", "never")',
  },
  { name: "quiet", short: "q", kind: "bool", help: "Print no progress of a pull" },
  { name: "read-only", kind: "bool", help: "Mount the container's root file system read only" },
  {
    name: "restart",
    kind: "string",
    preset: "no",
    help: "What to do when the container exits (no, always, unless-stopped, on-failure[:n])",
  },
  { name: "rm", kind: "bool", help: "Remove the container and its anonymous volumes when it exits" },
  { name: "runtime", kind: "string", help: "OCI runtime that makes the container (gantry, runc, crun)" },
  { name: "security-opt", kind: "list", help: "Security option" },
  { name: "shm-size", kind: "bytes", help: "Size of /dev/shm" },
  { name: "stop-signal", kind: "string", help: "Signal that stops the container" },
  { name: "stop-timeout", kind: "int", help: "Seconds to wait before the container is killed" },
  { name: "storage-opt", kind: "list", help: "Option of the storage driver" },
  { name: "sysctl", kind: "map", read: readSysctl, help: "Set a sysctl (key=value)" },
  { name: "tmpfs", kind: "list", help: "Mount a tmpfs (/path[:options])" },
  { name: "tty", short: "t", kind: "bool", help: "Allocate a pseudo-TTY" },
  { name: "ulimit", kind: "ulimit", read: readUlimit, help: "Resource limit (nofile=1024:2048)" },
  { name: "user", short: "u", kind: "string", help: "User name or id (<name|uid>[:<group|gid>])" },
  { name: "userns", kind: "string", help: "User namespace to use" },
  { name: "uts", kind: "string", help: "UTS namespace to use" },
  {
    name: "volume",
    short: "v",
    kind: "list",
    help: "Mount a volume or a path of the host (from:to[:options])",
  },
  { name: "volume-driver", kind: "string", help: "Volume driver of the container" },
  { name: "volumes-from", kind: "list", help: "Mount the volumes of another container" },
  { name: "workdir", short: "w", kind: "string", help: "Working directory inside the container" },
];

export const runOnlyFlags: readonly Flag[] = [
  { name: "detach", short: "d", kind: "bool", help: "Run in the background and print the container ID" },
  { name: "detach-keys", kind: "string", help: "Keys that detach from a terminal session (ctrl-p,ctrl-q)" },
  { name: "sig-proxy", kind: "bool", preset: "true", help: "Pass signals we receive to the process" },
];
