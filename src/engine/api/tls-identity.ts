/** Certificates of the API's TCP addresses, read anew at each reload. */
import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { GantryError, messageOf, toGantryError } from "../../lib/index.ts";
import type { TlsFiles } from "../settings/engine-settings.ts";

export interface TlsIdentity {
  readonly cert: string;
  readonly key: string;
  /** Who signs clients' certificates; absent: clients need none. */
  readonly ca?: string;
}

/** @throws {GantryError} "not-found", "denied", "invalid", naming the file that is wrong */
export function readTlsIdentity({ verify, ca, cert, key }: TlsFiles): TlsIdentity {
  const identity = {
    cert: readPem(cert, "TLS certificate"),
    key: readPem(key, "TLS key"),
    ...(verify ? { ca: readPem(ca, "TLS CA certificate") } : {}),
  };
  try {
    if (verify) new X509Certificate(identity.ca ?? "");
  } catch (cause) {
    throw new GantryError(
      "invalid",
      `could not read CA certificate ${JSON.stringify(ca)}: ${messageOf(cause)}`,
      { cause },
    );
  }
  const pair = `could not load X509 key pair (cert: ${JSON.stringify(cert)}, key: ${JSON.stringify(key)})`;
  let fits: boolean;
  try {
    fits = new X509Certificate(identity.cert).checkPrivateKey(createPrivateKey(identity.key));
  } catch (cause) {
    throw new GantryError("invalid", `${pair}: ${messageOf(cause)}`, { cause });
  }
  if (fits) return identity;
  throw new GantryError("invalid", `${pair}: private key does not match public key`);
}

function readPem(path: string, what: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    throw toGantryError(error, `read the ${what} ${path}`);
  }
}
