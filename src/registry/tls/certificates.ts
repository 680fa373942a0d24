/** The certificate that is served: read from two files, whoever writes them. */
import { createHash, createPrivateKey, X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { GantryError, messageOf, toGantryError } from "../../lib/index.ts";

export interface Certificate {
  /** The chain as PEM. */
  readonly cert: string;
  readonly key: string;
  readonly fromMs: number;
  readonly untilMs: number;
  /** Another one has another. */
  readonly id: string;
}

/** @throws {GantryError} when a file cannot be read, is none, or the two do not belong together */
export function readCertificate(certPath: string, keyPath: string): Certificate {
  const cert = read(certPath, "the certificate");
  const key = read(keyPath, "the key");
  let leaf: X509Certificate;
  try {
    leaf = new X509Certificate(cert);
  } catch (error) {
    throw new GantryError("invalid", `${certPath} is no certificate: ${messageOf(error)}`, { cause: error });
  }
  if (!leaf.checkPrivateKey(privateKey(key, keyPath)))
    throw new GantryError("invalid", `the key in ${keyPath} is not that of the certificate in ${certPath}`);
  const id = createHash("sha256").update(cert).update(key).digest("hex");
  return { cert, key, fromMs: Date.parse(leaf.validFrom), untilMs: Date.parse(leaf.validTo), id };
}

function read(path: string, what: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    throw toGantryError(error, `read ${what}`);
  }
}

function privateKey(pem: string, path: string): ReturnType<typeof createPrivateKey> {
  try {
    return createPrivateKey(pem);
  } catch (error) {
    throw new GantryError("invalid", `${path} is no private key: ${messageOf(error)}`, { cause: error });
  }
}

/** True when two thirds of a certificate's life are over. */
export function needsRenewal({ fromMs, untilMs }: Certificate, nowMs: number): boolean {
  return nowMs >= renewalMs({ fromMs, untilMs });
}

export function renewalMs({ fromMs, untilMs }: Pick<Certificate, "fromMs" | "untilMs">): number {
  return fromMs + ((untilMs - fromMs) * 2) / 3;
}
