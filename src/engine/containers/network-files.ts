/** /etc/hosts, /etc/resolv.conf and /etc/hostname of a container, as files of its directory that are mounted over the image's. */
import { readFileSync, writeFileSync } from "node:fs";
import { isErrno } from "../../lib/index.ts";
import { type Endpoint, hostsFile } from "../../network/index.ts";
import type { ContainerRecord } from "../container.ts";
import type { EngineContext } from "../context.ts";
import { networkKind } from "../network-mode.ts";
import type { ContainerPaths } from "../paths.ts";
import type { ResolvedMount } from "../oci-mounts.ts";

/** Written anew at each start: address and host's resolvers may have changed. */
export function writeNetworkFiles(
  context: EngineContext,
  record: ContainerRecord,
  paths: Pick<ContainerPaths, "hosts" | "resolvConf" | "hostname">,
  endpoint: Endpoint | undefined,
): void {
  const { config } = record;
  writeFileSync(paths.hostname, `${config.Hostname}\n`, { mode: 0o644 });
  writeFileSync(paths.hosts, hostsText(context, record, endpoint), { mode: 0o644 });
  writeFileSync(paths.resolvConf, resolvText(context, record, endpoint), { mode: 0o644 });
}

function hostsText(
  { networks }: EngineContext,
  { config, host }: ContainerRecord,
  endpoint: Endpoint | undefined,
): string {
  const text = hostsFile({
    hostname: config.Hostname,
    domainname: config.Domainname,
    ip: endpoint?.ip ?? "",
    extraHosts: host.ExtraHosts,
    gateway: endpoint?.gateway ?? networks.gatewayOf("bridge"),
  });
  if (networkKind(host.NetworkMode).kind !== "host") return text;
  // Docker: the host's network comes with the host's names.
  return host.ExtraHosts.length === 0 ? readOrEmpty("/etc/hosts") || text : text;
}

/** Without a word of the container's own the engine's defaults hold, as they are at its start. */
function resolvText(
  { networks, defaults }: EngineContext,
  { host }: ContainerRecord,
  endpoint: Endpoint | undefined,
): string {
  return networks.resolvConf(endpoint?.networkId, {
    dns: host.Dns.length > 0 ? host.Dns : defaults.dns,
    search: host.DnsSearch.length > 0 ? host.DnsSearch : defaults.dnsSearch,
    options: host.DnsOptions.length > 0 ? host.DnsOptions : defaults.dnsOptions,
  });
}

function readOrEmpty(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if (isErrno(error, "ENOENT", "EACCES")) return "";
    throw error;
  }
}

/** The three mounts, without those that the user placed something else upon. Pure. */
export function networkFileMounts(
  record: ContainerRecord,
  paths: Pick<ContainerPaths, "hosts" | "resolvConf" | "hostname">,
  taken: readonly string[],
): ResolvedMount[] {
  const files = [
    [paths.resolvConf, "/etc/resolv.conf"],
    [paths.hostname, "/etc/hostname"],
    [paths.hosts, "/etc/hosts"],
  ] as const;
  return files
    .filter(([, target]) => !taken.includes(target))
    .map(([source, target]) => ({
      type: "bind",
      source,
      target,
      readOnly: record.host.ReadonlyRootfs,
      propagation: "",
      options: "",
    }));
}
