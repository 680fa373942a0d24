/**
 * Every setting of the engine: its key in the configuration file, which is dockerd's where dockerd has it, and its flag. A flat
 * catalogue; what values mean is told by `resolve.ts`. Pure.
 */

/** How a value is written: in the file as JSON would have it, as a flag in words of this kind. */
export type Shape = "text" | "switch" | "number" | "list" | "map";

export interface Setting {
  readonly key: string;
  /** Absent: in the file only. */
  readonly flag?: string;
  readonly short?: string;
  readonly shape: Shape;
  /** It changes by a reload; the others at the engine's next start. */
  readonly live?: true;
  /** The only values that are taken, as this is how the engine works. */
  readonly only?: { readonly values: readonly unknown[]; readonly because: string };
}

const fixed = (
  key: string,
  shape: Shape,
  values: readonly unknown[],
  because: string,
  flag: string | undefined = key,
): Setting => ({ key, shape, only: { values, because }, ...(flag === undefined ? {} : { flag }) });

export const settings: readonly Setting[] = [
  { key: "root", flag: "root", shape: "text" },
  { key: "state", flag: "state", shape: "text" },
  { key: "hosts", flag: "host", short: "H", shape: "list" },
  { key: "group", flag: "group", short: "G", shape: "text" },
  { key: "tls", flag: "tls", shape: "switch" },
  { key: "tlsverify", flag: "tlsverify", shape: "switch" },
  { key: "tlscacert", flag: "tlscacert", shape: "text" },
  { key: "tlscert", flag: "tlscert", shape: "text" },
  { key: "tlskey", flag: "tlskey", shape: "text" },
  { key: "debug", flag: "debug", short: "D", shape: "switch", live: true },
  { key: "log-level", flag: "log-level", short: "l", shape: "text", live: true },
  { key: "labels", flag: "label", shape: "list", live: true },
  { key: "metrics-addr", flag: "metrics-addr", shape: "text", live: true },
  { key: "shutdown-timeout", flag: "shutdown-timeout", shape: "number", live: true },

  { key: "registries", shape: "map", live: true },
  { key: "registry-mirrors", flag: "registry-mirror", shape: "list", live: true },
  { key: "insecure-registries", flag: "insecure-registry", shape: "list", live: true },
  { key: "http-proxy", flag: "http-proxy", shape: "text", live: true },
  { key: "https-proxy", flag: "https-proxy", shape: "text", live: true },
  { key: "no-proxy", flag: "no-proxy", shape: "text", live: true },
  { key: "max-concurrent-downloads", flag: "max-concurrent-downloads", shape: "number", live: true },
  { key: "max-concurrent-uploads", flag: "max-concurrent-uploads", shape: "number", live: true },
  { key: "max-download-attempts", flag: "max-download-attempts", shape: "number", live: true },
  { key: "snapshotter", flag: "snapshotter", shape: "text" },

  { key: "runtimes", flag: "add-runtime", shape: "map", live: true },
  { key: "default-runtime", flag: "default-runtime", shape: "text", live: true },
  { key: "init", flag: "init", shape: "switch", live: true },
  { key: "log-driver", flag: "log-driver", shape: "text", live: true },
  { key: "log-opts", flag: "log-opt", shape: "map", live: true },
  { key: "default-ulimits", flag: "default-ulimit", shape: "map", live: true },
  { key: "default-shm-size", flag: "default-shm-size", shape: "text", live: true },
  { key: "default-ipc-mode", flag: "default-ipc-mode", shape: "text", live: true },
  { key: "default-cgroupns-mode", flag: "default-cgroupns-mode", shape: "text", live: true },
  { key: "cgroup-parent", flag: "cgroup-parent", shape: "text", live: true },
  { key: "no-new-privileges", flag: "no-new-privileges", shape: "switch", live: true },
  { key: "userns-remap", flag: "userns-remap", shape: "text" },
  { key: "seccomp-profile", flag: "seccomp-profile", shape: "text", live: true },
  { key: "dns", flag: "dns", shape: "list", live: true },
  { key: "dns-search", flag: "dns-search", shape: "list", live: true },
  { key: "dns-opts", flag: "dns-opt", shape: "list", live: true },
  { key: "ip", flag: "ip", shape: "text", live: true },

  { key: "bip", flag: "bip", shape: "text" },
  { key: "mtu", flag: "mtu", shape: "number" },
  { key: "default-address-pools", flag: "default-address-pool", shape: "list" },

  fixed("live-restore", "switch", [true], "containers outlive the engine in any case"),
  fixed("iptables", "switch", [true], "published ports and networks are the engine's own nftables rules"),
  fixed("ip-forward", "switch", [true], "bridge networks need it"),
  fixed("ip-masq", "switch", [true], "containers reach the world by the host's address"),
  fixed("icc", "switch", [true], "containers of a bridge network reach each other"),
  fixed("ipv6", "switch", [false], "the default bridge network has IPv4 addresses"),
  fixed("userland-proxy", "switch", [false], "published ports are forwarded by the kernel"),
  fixed("selinux-enabled", "switch", [false], "SELinux labels are not set"),
  fixed("experimental", "switch", [false], "nothing hides behind it"),
  fixed("log-format", "text", ["json"], "the log is lines of JSON"),
  fixed("storage-driver", "text", ["overlay2"], "containers are overlays; see snapshotter"),
  fixed(
    "exec-opts",
    "list",
    [[], ["native.cgroupdriver=cgroupfs"]],
    "control groups are made without systemd",
    "exec-opt",
  ),
  fixed("features", "map", [{}, { buildkit: false }], "there are no features to switch", undefined),
];

/** Other names for the same: dockerd's, of keys and of flags. */
export const otherNames: Readonly<Record<string, string>> = { "data-root": "root", "exec-root": "state" };

export const settingOf = (key: string): Setting | undefined =>
  settings.find((setting) => setting.key === (otherNames[key] ?? key));
