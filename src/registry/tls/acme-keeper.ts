/** Keeps a certificate from an ACME server: orders the first, and renews it in time. */
import { createPrivateKey, generateKeyPairSync, type KeyObject } from "node:crypto";
import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import type { Logger } from "../../lib/index.ts";
import { AcmeClient } from "./acme-client.ts";
import { type Certificate, readCertificate } from "./certificates.ts";
import { certificateRequest } from "./certificate-request.ts";
import { Renewal } from "./renewal.ts";

export interface AcmeSettings {
  readonly directory: string;
  readonly names: readonly string[];
  readonly email: string;
  readonly ca: string | undefined;
  /** Where http-01 is answered. */
  readonly httpHost: string;
  readonly httpPort: number;
}

export interface AcmeKeeperOptions extends AcmeSettings {
  /** Keys and certificates live here. */
  readonly dir: string;
  readonly logger: Logger;
  readonly onCertificate: (certificate: Certificate) => void;
}

export class AcmeKeeper {
  readonly #options: AcmeKeeperOptions;
  readonly #stop = new AbortController();
  readonly #renewal: Renewal;

  constructor(options: AcmeKeeperOptions) {
    this.#options = options;
    const { onCertificate, logger } = options;
    this.#renewal = new Renewal({ order: () => this.#order(), onCertificate, logger });
    mkdirSync(options.dir, { recursive: true, mode: 0o700 });
  }

  /** The certificate there is, or the first one. @throws {GantryError} when there is none to be had */
  async start(): Promise<Certificate> {
    const certificate = this.#kept() ?? (await this.#order());
    this.#renewal.keep(certificate);
    return certificate;
  }

  close(): void {
    this.#stop.abort();
    this.#renewal.close();
  }

  get #paths(): Readonly<Record<"account" | "cert" | "key", string>> {
    const { dir } = this.#options;
    return { account: join(dir, "account.pem"), cert: join(dir, "cert.pem"), key: join(dir, "key.pem") };
  }

  /** What is on disk, unless it is over or for other names. */
  #kept(): Certificate | undefined {
    const { cert, key } = this.#paths;
    if (
      !existsSync(cert) ||
      !existsSync(key) ||
      readNames(this.#options.dir) !== this.#options.names.join("\n")
    )
      return undefined;
    const certificate = readCertificate(cert, key);
    return Date.now() < certificate.untilMs ? certificate : undefined;
  }

  async #order(): Promise<Certificate> {
    const { names, directory, email, ca, dir, logger } = this.#options;
    const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const answers = new Map<string, string>();
    const server = this.#answer(answers);
    try {
      const client = new AcmeClient({
        directory,
        email,
        ca,
        accountKey: this.#accountKey(),
        signal: this.#stop.signal,
      });
      const chain = await client.order(names, certificateRequest(names, privateKey), (token, answer) =>
        answers.set(token, answer),
      );
      const { cert, key } = this.#paths;
      // The key first: between the two renames the pair does not match and is ordered anew.
      keep(key, privateKey.export({ format: "pem", type: "pkcs8" }).toString());
      keep(cert, chain);
      keep(join(dir, "names"), names.join("\n"));
      const certificate = readCertificate(cert, key);
      logger.info("acme.certificate", {
        names: names.join(","),
        until: new Date(certificate.untilMs).toISOString(),
      });
      return certificate;
    } finally {
      await server.stop(true);
    }
  }

  /** Answers http-01, while an order is under way. */
  #answer(answers: ReadonlyMap<string, string>): Bun.Server<undefined> {
    const prefix = "/.well-known/acme-challenge/";
    return Bun.serve({
      hostname: this.#options.httpHost,
      port: this.#options.httpPort,
      fetch(request) {
        const { pathname } = new URL(request.url);
        const answer = pathname.startsWith(prefix) ? answers.get(pathname.slice(prefix.length)) : undefined;
        if (answer === undefined) return new Response("not found\n", { status: 404 });
        return new Response(answer, { headers: { "Content-Type": "application/octet-stream" } });
      },
    });
  }

  #accountKey(): KeyObject {
    const path = this.#paths.account;
    if (existsSync(path)) return createPrivateKey(readFileSync(path));
    const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    keep(path, privateKey.export({ format: "pem", type: "pkcs8" }).toString());
    return privateKey;
  }
}

function readNames(dir: string): string {
  const path = join(dir, "names");
  return existsSync(path) ? readFileSync(path, "utf8") : "";
}

/** Whole or not at all, and on disk. */
function keep(path: string, text: string): void {
  const fd = openSync(`${path}.new`, "w", 0o600);
  try {
    writeFileSync(fd, text);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
  renameSync(`${path}.new`, path);
}
