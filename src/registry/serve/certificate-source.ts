/** Where the served certificate comes from: two files, or an ACME server. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { GantryError, type Logger, messageOf, toGantryError } from "../../lib/index.ts";
import type { Resolved } from "../config/resolved.ts";
import { parseAddress } from "../config/values.ts";
import { AcmeKeeper } from "../tls/acme-keeper.ts";
import { type Certificate, readCertificate } from "../tls/certificates.ts";
import { watchFiles } from "../tls/watch-files.ts";

const letsEncrypt = "https://acme-v02.api.letsencrypt.org/directory";

export interface CertificateSource {
  readonly first: Certificate;
  /** Looks whether there is another one now. */
  reload(): void;
  close(): void;
}

/** @param changed is given each further certificate. @returns undefined: plain HTTP. @throws {GantryError} */
export async function openCertificates(
  settings: Resolved,
  logger: Logger,
  changed: (certificate: Certificate) => void,
): Promise<CertificateSource | undefined> {
  const [cert, key] = [settings.optional("tls-cert"), settings.optional("tls-key")];
  const names = settings.list("acme-name");
  if ((cert === undefined) !== (key === undefined))
    throw new GantryError(
      "invalid",
      cert === undefined ? "tls-key has no tls-cert with it" : "tls-cert has no tls-key with it",
      { hint: "a certificate (the chain, PEM) and its private key (PEM) belong together" },
    );
  if (cert !== undefined && key !== undefined) {
    if (names.length > 0)
      throw new GantryError("invalid", "a certificate comes from files or from ACME, not from both");
    return fromFiles(cert, key, logger, changed);
  }
  return names.length === 0 ? undefined : fromAcme(settings, names, logger, changed);
}

function fromFiles(
  certPath: string,
  keyPath: string,
  logger: Logger,
  changed: (certificate: Certificate) => void,
): CertificateSource {
  const first = readCertificate(certPath, keyPath);
  let current = first.id;
  const reload = (): void => {
    try {
      const certificate = readCertificate(certPath, keyPath);
      if (certificate.id === current) return;
      current = certificate.id;
      changed(certificate);
    } catch (error) {
      // Half written, or wrong: what is served goes on being served.
      logger.error("tls.not-reloaded", { message: messageOf(error) });
    }
  };
  return { first, reload, close: watchFiles([certPath, keyPath], logger, reload) };
}

async function fromAcme(
  settings: Resolved,
  names: readonly string[],
  logger: Logger,
  changed: (certificate: Certificate) => void,
): Promise<CertificateSource> {
  const ca = settings.optional("acme-ca");
  const { host, port } = parseAddress(settings.text("acme-http-addr"));
  const keeper = new AcmeKeeper({
    directory: settings.optional("acme-directory") ?? letsEncrypt,
    names,
    email: settings.text("acme-email"),
    ca: ca === undefined ? undefined : readText(ca),
    httpHost: host,
    httpPort: port,
    dir: join(settings.text("root"), "acme"),
    logger,
    onCertificate: changed,
  });
  return { first: await keeper.start(), reload: () => undefined, close: () => keeper.close() };
}

function readText(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    throw toGantryError(error, "read the ACME server's CA");
  }
}
