/** A context as a tar, as docker's client writes and reads it: `meta.json` and `tls/docker/*.pem`. */
import { tarHeader, tarPadding, TarReader, tarTrailer } from "../../lib/index.ts";
import { CliError } from "../errors.ts";
import { asMeta, type ContextMeta, tlsFiles, type TlsFiles } from "./context-store.ts";

/** As docker limits it. */
const mostBytes = 10 << 20;

export function packContext(meta: ContextMeta, tls: TlsFiles): Uint8Array {
  const parts: Uint8Array[] = [];
  const directory = (path: string): void => {
    parts.push(tarHeader({ path, type: "dir", mode: 0o700 }));
  };
  const file = (path: string, mode: number, bytes: Uint8Array): void => {
    parts.push(tarHeader({ path, type: "file", mode, size: bytes.length }), bytes, tarPadding(bytes.length));
  };
  file("meta.json", 0o644, Buffer.from(JSON.stringify(meta)));
  directory("tls");
  const pems = Object.entries(tls);
  if (pems.length > 0) directory("tls/docker");
  for (const [name, bytes] of pems) file(`tls/docker/${name}`, 0o600, bytes);
  return Buffer.concat([...parts, tarTrailer]);
}

/** @throws {CliError} for what is no archive of a context */
export function unpackContext(bytes: Uint8Array): { readonly meta: ContextMeta; readonly tls: TlsFiles } {
  if (bytes.length > mostBytes) throw new CliError(`the archive is larger than ${mostBytes} bytes`);
  const files = filesOf(bytes);
  const text = files.get("meta.json");
  const meta = text === undefined ? undefined : asMeta(parsed(text));
  if (meta === undefined) throw new CliError("invalid context: no meta.json found", { bare: true });
  const tls: Partial<Record<(typeof tlsFiles)[number], Uint8Array>> = {};
  for (const name of tlsFiles) {
    const pem = files.get(`tls/docker/${name}`);
    if (pem !== undefined) tls[name] = pem;
  }
  return { meta, tls };
}

function filesOf(bytes: Uint8Array): ReadonlyMap<string, Uint8Array> {
  const files = new Map<string, Uint8Array>();
  const reader = new TarReader({ maxEntries: 100 });
  for (const event of reader.push(bytes)) {
    if (event.kind !== "data") continue;
    const before = files.get(event.entry.path) ?? new Uint8Array();
    files.set(event.entry.path, Buffer.concat([before, event.bytes]));
  }
  reader.finish();
  return files;
}

function parsed(text: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(text).toString());
  } catch {
    throw new CliError("invalid context: meta.json is not valid JSON", { bare: true });
  }
}
