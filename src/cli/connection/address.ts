/** Where an engine listens. Pure. */
import { CliError } from "../errors.ts";

export type Address =
  | { readonly is: "unix"; readonly path: string }
  | { readonly is: "tcp"; readonly host: string; readonly port: number };

/** @throws {CliError} for anything but unix:// and tcp:// */
export function parseAddress(text: string): Address {
  if (text.startsWith("unix://") && text.length > 7) return { is: "unix", path: text.slice(7) };
  if (text.startsWith("/")) return { is: "unix", path: text };
  const match = /^(?:tcp|http):\/\/(\[[0-9a-fA-F:.]+\]|[^:/]+)(?::(\d{1,5}))?\/?$/.exec(text);
  const host = match?.[1];
  if (host !== undefined)
    return { is: "tcp", host: host.replace(/^\[|\]$/g, ""), port: Number(match?.[2] ?? 2375) };
  throw new CliError(`invalid host ${JSON.stringify(text)}`, {
    exitCode: 125,
    hint: "write unix:///path/to/engine.sock or tcp://host:port",
  });
}

export function formatAddress(address: Address): string {
  return address.is === "unix" ? `unix://${address.path}` : `tcp://${address.host}:${address.port}`;
}
