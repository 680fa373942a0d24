/** `--publish` and `--expose` to ExposedPorts and PortBindings. Pure. */
import { CliError } from "../errors.ts";
import { isAddress } from "./read-values.ts";

interface Binding {
  readonly HostIp: string;
  readonly HostPort: string;
}

export interface Ports {
  readonly exposed: Readonly<Record<string, object>>;
  readonly bindings: Readonly<Record<string, readonly Binding[]>>;
}

/** @throws {CliError} with docker's words */
export function parsePorts(publish: readonly string[], expose: readonly string[]): Ports {
  const exposed: Record<string, object> = {};
  const bindings: Record<string, Binding[]> = {};
  for (const text of publish) {
    for (const { port, binding } of parsePublish(text)) {
      exposed[port] = {};
      (bindings[port] ??= []).push(binding);
    }
  }
  for (const text of expose) {
    for (const port of parseExpose(text)) exposed[port] = {};
  }
  return { exposed, bindings };
}

interface Published {
  readonly port: string;
  readonly binding: Binding;
}

/** `[[ip:][host]:]container[/proto]`, or `published=…,target=…,protocol=…`. */
function parsePublish(text: string): Published[] {
  if (text.includes("=")) return parsePublish(shortForm(text));
  const slash = text.indexOf("/");
  const proto = (slash < 0 ? "tcp" : text.slice(slash + 1)).toLowerCase();
  const parts = (slash < 0 ? text : text.slice(0, slash)).split(":");
  const container = parts.at(-1) ?? "";
  const host = parts.at(-2) ?? "";
  const rawIp = parts.slice(0, -2).join(":");
  const ip = /^\[.*\]$/.test(rawIp) ? rawIp.slice(1, -1) : rawIp;
  if (ip !== "" && !isAddress(ip)) throw new CliError(`invalid IP address: ${rawIp}`);
  if (container === "") throw new CliError(`no port specified: ${text}<empty>`);
  const inside = parseRange(container);
  if (inside === undefined) throw new CliError(`invalid containerPort: ${container}`);
  const outside = host === "" ? undefined : parseRange(host);
  if (host !== "" && outside === undefined) throw new CliError(`invalid hostPort: ${host}`);
  if (!["tcp", "udp", "sctp"].includes(proto)) throw new CliError(`invalid proto: ${proto}`);
  return pairPorts({ ip, proto, inside, outside, container, host });
}

interface Pairing {
  readonly ip: string;
  readonly proto: string;
  readonly inside: Range;
  readonly outside: Range | undefined;
  readonly container: string;
  readonly host: string;
}

function pairPorts({ ip, proto, inside, outside, container, host }: Pairing): Published[] {
  const [first, last] = inside;
  if (outside !== undefined && outside[1] - outside[0] !== last - first) {
    // One port of the container may be given any port of a range of the host.
    if (first !== last)
      throw new CliError(`invalid ranges specified for container and host Ports: ${container} and ${host}`);
    return [{ port: `${first}/${proto}`, binding: { HostIp: ip, HostPort: `${outside[0]}-${outside[1]}` } }];
  }
  const published: Published[] = [];
  for (let i = 0; i <= last - first; i++) {
    const hostPort = outside === undefined ? "" : String(outside[0] + i);
    published.push({ port: `${first + i}/${proto}`, binding: { HostIp: ip, HostPort: hostPort } });
  }
  return published;
}

function shortForm(text: string): string {
  const fields: Record<string, string> = {};
  for (const field of text.split(",")) {
    const [key = "", value] = field.toLowerCase().split("=");
    if (value === undefined || value === "") throw new CliError(`invalid field ${field}`);
    if (!["protocol", "mode", "target", "published"].includes(key))
      throw new CliError(`invalid field key ${key}`);
    fields[key] = value;
  }
  if (fields["target"] === undefined) throw new CliError(`missing mandatory field "target"`);
  return `${fields["published"] === undefined ? "" : `${fields["published"]}:`}${fields["target"]}/${fields["protocol"] ?? "tcp"}`;
}

function parseExpose(text: string): string[] {
  if (text.includes(":")) throw new CliError(`invalid port format for --expose: ${text}`);
  const slash = text.indexOf("/");
  const proto = slash < 0 ? "tcp" : text.slice(slash + 1).toLowerCase();
  const ports = slash < 0 ? text : text.slice(0, slash);
  const range = parseRange(ports);
  if (range === undefined)
    throw new CliError(`invalid range format for --expose: ${text}, error: ${rangeComplaint(ports)}`);
  const list: string[] = [];
  for (let port = range[0]; port <= range[1]; port++) list.push(`${port}/${proto}`);
  return list;
}

function rangeComplaint(text: string): string {
  const bad = text.split("-").find((part) => !/^\d+$/.test(part));
  if (bad === undefined) return `invalid range specified for port: ${text}`;
  return `strconv.ParseUint: parsing ${JSON.stringify(bad)}: invalid syntax`;
}

type Range = readonly [first: number, last: number];

function parseRange(text: string): Range | undefined {
  const match = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(text);
  if (match === null) return undefined;
  const first = Number(match[1]);
  const last = Number(match[2] ?? match[1]);
  return first <= last && last <= 65_535 ? [first, last] : undefined;
}
