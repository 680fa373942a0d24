/** Published ports in one cell: neighbours are joined to ranges. Pure. */

export interface Port {
  readonly IP?: string;
  readonly PrivatePort: number;
  readonly PublicPort?: number;
  readonly Type: string;
}

/** `443/tcp, 0.0.0.0:7000-7001->7000-7001/tcp, [::]:8080->80/tcp`, in docker's order. */
export function formatPorts(ports: readonly Port[]): string {
  const groups = new Map<string, { ip: string; type: string; first: number; last: number }>();
  const done: string[] = [];
  const mapped: string[] = [];
  for (const port of ports.toSorted(comparePorts)) {
    const ip = port.IP ?? "";
    const number = port.PrivatePort;
    if (ip !== "" && port.PublicPort !== number) {
      mapped.push(`${hostPort(ip, String(port.PublicPort ?? 0))}->${number}/${port.Type}`);
      continue;
    }
    const key = `${ip}/${port.Type}`;
    const group = groups.get(key);
    if (group?.last === number - 1) {
      group.last = number;
      continue;
    }
    if (group === undefined) groups.set(key, { ip, type: port.Type, first: number, last: number });
    else {
      done.push(formatGroup(group));
      Object.assign(group, { first: number, last: number });
    }
  }
  return [...done, ...[...groups.values()].map(formatGroup), ...mapped].join(", ");
}

function formatGroup(group: {
  readonly ip: string;
  readonly type: string;
  readonly first: number;
  readonly last: number;
}): string {
  const range = group.first === group.last ? String(group.first) : `${group.first}-${group.last}`;
  return group.ip === "" ? `${range}/${group.type}` : `${hostPort(group.ip, range)}->${range}/${group.type}`;
}

/** An address and a port; IPv6 in brackets. */
export function hostPort(ip: string, port: string): string {
  return ip.includes(":") ? `[${ip}]:${port}` : `${ip}:${port}`;
}

function comparePorts(a: Port, b: Port): number {
  const ipA = a.IP ?? "";
  const ipB = b.IP ?? "";
  if (a.PrivatePort !== b.PrivatePort) return a.PrivatePort - b.PrivatePort;
  if (ipA !== ipB) return ipA < ipB ? -1 : 1;
  return (a.PublicPort ?? 0) - (b.PublicPort ?? 0) || (a.Type < b.Type ? -1 : a.Type > b.Type ? 1 : 0);
}
