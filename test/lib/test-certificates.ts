/** A certificate authority for one test, made by openssl, and what it signs. */
import { readFileSync } from "node:fs";

export interface TestPair {
  readonly certFile: string;
  readonly keyFile: string;
  readonly cert: string;
  readonly key: string;
}

const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];

export class TestAuthority {
  readonly #dir: string;

  private constructor(dir: string) {
    this.#dir = dir;
  }

  /** @param dir where its files go; the test removes it */
  static async create(dir: string): Promise<TestAuthority> {
    const authority = new TestAuthority(dir);
    await authority.#openssl(
      "req -x509 -days 3 -subj /CN=test-authority -keyout ca.key -out ca.pem".split(" "),
      curve,
    );
    return authority;
  }

  get file(): string {
    return `${this.#dir}/ca.pem`;
  }

  get pem(): string {
    return readFileSync(this.file, "utf8");
  }

  /** A certificate for localhost and an address, or for a client. */
  async sign(name: string, address = "127.0.0.1"): Promise<TestPair> {
    await this.#openssl(
      ["req", "-subj", `/CN=${name}`, "-keyout", `${name}.key`, "-out", `${name}.csr`],
      curve,
    );
    await Bun.write(`${this.#dir}/ext`, `subjectAltName=DNS:localhost,IP:${address}\n`);
    await this.#openssl(
      "x509 -req -days 2 -CA ca.pem -CAkey ca.key -CAcreateserial -extfile ext".split(" "),
      ["-in", `${name}.csr`, "-out", `${name}.pem`],
    );
    const [certFile, keyFile] = [`${this.#dir}/${name}.pem`, `${this.#dir}/${name}.key`];
    return { certFile, keyFile, cert: readFileSync(certFile, "utf8"), key: readFileSync(keyFile, "utf8") };
  }

  async #openssl(...words: readonly (readonly string[])[]): Promise<void> {
    const child = Bun.spawn(["openssl", ...words.flat()], {
      stdio: ["ignore", "ignore", "pipe"],
      cwd: this.#dir,
    });
    const err = await child.stderr.text();
    if ((await child.exited) !== 0) throw new Error(err);
  }
}
