/** Where an engine listens. Pure. */
import { CliError } from "../errors.ts";

/** Certificates of a connection, PEM. */
export interface TlsMaterial {
  /** Who may have signed the engine's certificate; undefined: whom this machine trusts. */
  readonly ca?: string;
  /** Ours, with its key. */
  readonly cert?: string;
  readonly key?: string;
  /** False: the engine's certificate is taken as it is. */
  readonly verify: boolean;
}

/** What can be connected to. */
export type Address =
  | { readonly is: "unix"; readonly path: string }
  | { readonly is: "tcp"; readonly host: string; readonly port: number; readonly tls?: TlsMaterial };

/** An engine behind ssh; a tunnel makes an `Address` of it. */
export interface SshTarget {
  readonly is: "ssh";
  readonly user: string;
  readonly host: string;
  /** 0: what ssh's configuration says. */
  readonly port: number;
  /** The socket there; empty: the usual one. */
  readonly path: string;
}

const ports = { plain: 2375, tls: 2376 } as const;

/**
 * @param tls with it, a TCP address is spoken to by TLS
 * @throws {CliError} for anything but unix://, tcp:// and ssh://
 */
export function parseTarget(text: string, tls?: TlsMaterial): Address | SshTarget {
  if (text.startsWith("unix://") && text.length > 7) return { is: "unix", path: text.slice(7) };
  if (text.startsWith("/")) return { is: "unix", path: text };
  if (text.startsWith("ssh://")) return parseSsh(text);
  const match = /^(?:tcp|https?):\/\/(\[[0-9a-fA-F:.]+\]|[^:/]+)(?::(\d{1,5}))?\/?$/.exec(text);
  const host = match?.[1];
  if (host === undefined) throw invalid(text);
  const port = Number(match?.[2] ?? (tls === undefined ? ports.plain : ports.tls));
  return {
    is: "tcp",
    host: host.replace(/^\[|\]$/g, ""),
    port,
    ...(tls === undefined ? {} : { tls }),
  };
}

/** A host or user that begins with a dash would be a flag of ssh's. */
function parseSsh(text: string): SshTarget {
  const match =
    /^ssh:\/\/(?:([^@:/?#-][^@:/?#]*)@)?(\[[0-9a-fA-F:.]+\]|[^@:/?#-][^@:/?#]*)(?::(\d{1,5}))?(\/[^?#]*)?$/.exec(
      text,
    );
  const host = match?.[2];
  if (host === undefined) throw invalid(text);
  const path = match?.[4] ?? "";
  return {
    is: "ssh",
    user: match?.[1] ?? "",
    host: host.replace(/^\[|\]$/g, ""),
    port: Number(match?.[3] ?? 0),
    path: path === "/" ? "" : path,
  };
}

function invalid(text: string): CliError {
  return new CliError(`invalid host ${JSON.stringify(text)}`, {
    exitCode: 125,
    hint: "write unix:///path/to/engine.sock, tcp://host:port or ssh://user@host",
  });
}

export function formatTarget(target: Address | SshTarget): string {
  if (target.is === "unix") return `unix://${target.path}`;
  const host = target.host.includes(":") ? `[${target.host}]` : target.host;
  if (target.is === "tcp") return `tcp://${host}:${target.port}`;
  return `ssh://${target.user === "" ? "" : `${target.user}@`}${host}${target.port === 0 ? "" : `:${target.port}`}${target.path}`;
}

/** As Bun's fetch and connect take it. */
export function tlsOptions({ verify, ...pems }: TlsMaterial): Bun.TLSOptions {
  return { rejectUnauthorized: verify, ...pems };
}
