/** What surrounds the engine: network and firewall, disk, clock, names. */
import { type BigIntStatsFs, statfsSync } from "node:fs";
import { dirname } from "node:path";
import { type Eyes, fail, type Finding, ok, warn } from "./finding.ts";

export function hostChecks(eyes: Eyes, root: string): readonly Finding[] {
  return [...network(eyes), ...disk(eyes, root), ...clock(eyes), ...names(eyes)];
}

function* network({ read, has, say }: Eyes): Generator<Finding> {
  yield read("/proc/sys/net/ipv4/ip_forward")?.trim() === "1"
    ? ok("network", "net.ipv4.ip_forward is on")
    : warn(
        "network",
        "net.ipv4.ip_forward is off: the engine sets it, something may set it back",
        "sysctl -w net.ipv4.ip_forward=1, and the same in /etc/sysctl.d",
      );
  const rules = say("nft", "list", "ruleset") ?? say("/usr/sbin/nft", "list", "ruleset");
  yield has("/proc/sys/net/netfilter") || rules !== undefined
    ? ok("firewall", "nftables")
    : warn(
        "firewall",
        "nftables was not seen yet",
        "modprobe nf_tables; the engine's log tells whether it works",
      );
  if (rules !== undefined) yield* firewall(rules);
  if (say("systemctl", "is-active", "firewalld") !== undefined)
    yield warn(
      "firewall",
      "firewalld runs: its zones judge packets of containers, too",
      "firewall-cmd --permanent --zone=trusted --add-interface=gantry0, then --reload",
    );
  if (/^ENABLED=yes/m.test(read("/etc/ufw/ufw.conf") ?? ""))
    yield warn(
      "firewall",
      "ufw is on: it drops forwarded packets unless told",
      'DEFAULT_FORWARD_POLICY="ACCEPT" in /etc/default/ufw, then ufw reload',
    );
}

/** Of others: a drop there is final, whatever our own table says. Pure. */
export function* firewall(rules: string): Generator<Finding> {
  const drops = [...rules.matchAll(/^table (\S+ \S+) \{([\s\S]*?)^\}/gm)]
    .filter(
      ([, name = "", body = ""]) => !name.includes("gantry") && /hook forward [^\n]*policy drop/.test(body),
    )
    .map(([, name = ""]) => name);
  yield drops.length === 0
    ? ok("firewall", "nobody drops forwarded packets by default")
    : warn(
        "firewall",
        `forwarded packets are dropped by default in table ${drops.join(", ")}`,
        "iptables -P FORWARD ACCEPT, or accept the interfaces gantry* there",
      );
  if (/chain DOCKER-USER/.test(rules))
    yield warn(
      "firewall",
      "dockerd's rules are here: its FORWARD chain judges our packets, too",
      "iptables -I DOCKER-USER -i gantry+ -j ACCEPT and the same with -o, or stop dockerd",
    );
}

const gib = 1024 ** 3;

function* disk({ has, read }: Eyes, root: string): Generator<Finding> {
  let place = root;
  while (!has(place) && place !== "/") place = dirname(place);
  let facts: BigIntStatsFs;
  try {
    facts = statfsSync(place, { bigint: true });
  } catch (error) {
    yield fail("disk", `${place} cannot be looked at: ${String(error)}`, "see dmesg for errors of the disk");
    return;
  }
  const free = Number(facts.bavail * facts.bsize);
  const size = `${(free / gib).toFixed(1)} GiB free at ${place}`;
  if (free < gib / 4) yield fail("disk", size, "free some: gantry system df, gantry system prune");
  else
    yield free < 2 * gib
      ? warn("disk", size, "free some: gantry system df, gantry system prune")
      : ok("disk", size);
  if (facts.files > 0n) {
    const share = Number((facts.ffree * 1000n) / facts.files) / 10;
    yield share < 5
      ? warn(
          "disk",
          `${share} % of the inodes are free at ${place}`,
          "remove small files: gantry system prune",
        )
      : ok("disk", `${share} % of the inodes are free`);
  }
  yield* fileSystem(facts.type, place, read("/proc/self/mountinfo") ?? "");
}

function* fileSystem(type: bigint, place: string, mounts: string): Generator<Finding> {
  const unfit: Readonly<Record<string, string>> = {
    "0x6969": "NFS",
    "0x794c7630": "overlay",
    "0x65735546": "FUSE",
    "0x4d44": "FAT",
    "0x1021994": "tmpfs",
  };
  const name = unfit[`0x${type.toString(16)}`];
  if (name === "tmpfs")
    yield warn("disk", `${place} is on tmpfs: all is lost with a reboot`, "choose a disk with --root");
  else if (name !== undefined)
    yield fail(
      "disk",
      `${place} is on ${name}, which cannot hold containers' roots`,
      "choose a directory on ext4, xfs or btrfs with --root",
    );
  else yield ok("disk", "the file system can hold containers' roots");
  if (/ - xfs .*(?:ftype=0)/.test(mounts))
    yield fail("disk", "an xfs was made without d_type (ftype=0)", "make it anew with mkfs.xfs -n ftype=1");
}

function* clock({ say }: Eyes): Generator<Finding> {
  if (Date.now() < Date.UTC(2025, 0))
    yield fail("clock", `it is ${new Date().toISOString()}?`, "set it: timedatectl set-ntp true");
  const synced = say("timedatectl", "show", "-p", "NTPSynchronized", "--value")?.trim();
  if (synced === "no")
    yield warn(
      "clock",
      "it is not synchronised: certificates may seem not valid yet",
      "timedatectl set-ntp true",
    );
  else yield ok("clock", new Date().toISOString());
}

function* names({ read }: Eyes): Generator<Finding> {
  const servers = [...(read("/etc/resolv.conf") ?? "").matchAll(/^nameserver\s+(\S+)/gm)].map(
    ([, server = ""]) => server,
  );
  yield servers.length > 0
    ? ok("dns", `name servers ${servers.join(", ")}`)
    : warn(
        "dns",
        "/etc/resolv.conf names no name server: containers know nobody outside",
        "name one there, or with gantry engine --dns",
      );
}
