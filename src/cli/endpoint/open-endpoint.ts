/** From flags, environment and contexts to an address with its certificates. */
import type { Globals } from "../command.ts";
import { type Address, parseTarget, type SshTarget, type TlsMaterial } from "../connection/address.ts";
import { CliError, hasErrno } from "../errors.ts";
import { chooseHost, defaultContext } from "./choose-host.ts";
import { dockerDirectory, readCurrentContext } from "./docker-directory.ts";

export interface Endpoint {
  readonly target: Address | SshTarget;
  /** The socket of the engine that a command may start. */
  readonly own: boolean;
}

/** @throws {CliError} for a wrong host, an unknown context, a certificate that cannot be read */
export async function openEndpoint(globals: Globals): Promise<Endpoint> {
  const socket = `${globals.state}/engine.sock`;
  const chosen = await chooseHost({ ...globals, env: process.env }, readCurrentContext);
  if (chosen.from === "state") return { target: { is: "unix", path: socket }, own: true };
  if (chosen.from === "context") return { target: await targetOfContext(chosen.name), own: false };
  const target = parseTarget(chosen.text, await tlsOf(globals.tls, process.env));
  return { target, own: target.is === "unix" && target.path === socket };
}

/** The name that `context show` prints. */
export async function currentContextName(
  globals: Pick<Globals, "host" | "context" | "stateGiven">,
): Promise<string> {
  const chosen = await chooseHost({ ...globals, env: process.env }, readCurrentContext);
  return chosen.from === "context" ? chosen.name : defaultContext;
}

/** What the flags say of TLS. */
export interface TlsFlags {
  readonly use: boolean;
  readonly verify: boolean;
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

/** Undefined: no TLS. A file that is named must be there; the usual ones are taken where they are. */
async function tlsOf(
  flags: TlsFlags,
  env: Readonly<Record<string, string | undefined>>,
): Promise<TlsMaterial | undefined> {
  const verify = flags.verify || (env["DOCKER_TLS_VERIFY"] ?? "") !== "";
  if (!verify && !flags.use && (env["DOCKER_TLS"] ?? "") === "") return undefined;
  const directory = env["DOCKER_CERT_PATH"] || (await dockerDirectory());
  const ca = await pemOf(flags.ca, `${directory}/ca.pem`);
  const cert = await pemOf(flags.cert, `${directory}/cert.pem`);
  const key = await pemOf(flags.key, `${directory}/key.pem`);
  return material({ ca: verify ? ca : undefined, cert, key }, verify);
}

async function pemOf(named: string, usual: string): Promise<string | undefined> {
  const path = named || usual;
  try {
    return await Bun.file(path).text();
  } catch (error) {
    if (named === "" && hasErrno(error, "ENOENT", "ENOTDIR")) return undefined;
    throw new CliError(
      `cannot read the certificate ${path}: ${error instanceof Error ? error.message : String(error)}`,
      {
        exitCode: 125,
      },
    );
  }
}

/** A certificate without its key, or the other way round, is none. */
function material(
  { ca, cert, key }: Readonly<Record<"ca" | "cert" | "key", string | undefined>>,
  verify: boolean,
): TlsMaterial {
  return {
    verify,
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined || key === undefined ? {} : { cert, key }),
  };
}

async function targetOfContext(name: string): Promise<Address | SshTarget> {
  const { ContextStore } = await import("./context-store.ts");
  const store = await ContextStore.open();
  const { Host = "", SkipTLSVerify = false } = store.read(name).Endpoints.docker ?? {};
  if (Host === "")
    throw new CliError(`context ${JSON.stringify(name)} has no docker endpoint`, { bare: true });
  const files = store.readTls(name);
  const text = (bytes: Uint8Array | undefined): string | undefined =>
    bytes === undefined ? undefined : Buffer.from(bytes).toString();
  const isTls = SkipTLSVerify || Object.keys(files).length > 0;
  const pems = { ca: text(files["ca.pem"]), cert: text(files["cert.pem"]), key: text(files["key.pem"]) };
  return parseTarget(Host, isTls ? material(pems, !SkipTLSVerify) : undefined);
}
