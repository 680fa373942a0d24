/**
 * An S3 server that we did not write: moto's, from PyPI into a cache, or the one of $GANTRY_TEST_S3 (`http://KEY:SECRET@HOST:PORT`),
 * which takes the harder checks (SeaweedFS verifies signatures).
 */
import { existsSync, renameSync, rmSync } from "node:fs";
import { homedir } from "node:os";
import { sha256Hex, signedHeaders } from "../../src/registry/s3-signature.ts";
import { freePort } from "./postgres.ts";

const packages = ["moto[s3]==5.2.5", "flask", "flask-cors"];

export class TestS3 {
  readonly endpoint: string;
  readonly credentials: { readonly accessKeyId: string; readonly secretAccessKey: string };
  readonly #child: Bun.Subprocess | undefined;
  #buckets = 0;

  private constructor(url: URL, child?: Bun.Subprocess) {
    this.endpoint = url.origin;
    this.credentials = { accessKeyId: url.username, secretAccessKey: url.password };
    this.#child = child;
  }

  static async start(): Promise<TestS3> {
    const given = process.env["GANTRY_TEST_S3"];
    if (given !== undefined) return new TestS3(new URL(given));
    const home = await motoHome();
    const port = await freePort();
    const child = Bun.spawn(["python3", "-m", "moto.server", "-H", "127.0.0.1", "-p", String(port)], {
      env: { ...process.env, PYTHONPATH: home, PYTHONDONTWRITEBYTECODE: "1" },
      stdio: ["ignore", "ignore", "ignore"],
    });
    const server = new TestS3(new URL(`http://test-key:test-secret@127.0.0.1:${port}`), child);
    for (let tries = 0; ; tries++) {
      if (
        await fetch(server.endpoint).then(
          () => true,
          () => false,
        )
      )
        return server;
      if (tries > 300 || child.exitCode !== null) throw new Error("moto has not started");
      await Bun.sleep(100);
    }
  }

  /** The environment in which a registry finds its credentials. */
  get env(): Readonly<Record<string, string>> {
    return {
      AWS_ACCESS_KEY_ID: this.credentials.accessKeyId,
      AWS_SECRET_ACCESS_KEY: this.credentials.secretAccessKey,
    };
  }

  /** Makes a new bucket; its `s3://` address. */
  async bucket(): Promise<string> {
    this.#buckets += 1;
    const name = `gantry-${process.pid}-${this.#buckets}-${Date.now().toString(36)}`;
    const url = new URL(`${this.endpoint}/${name}`);
    const { credentials } = this;
    const signing = { method: "PUT", url, region: "us-east-1", credentials, atMs: Date.now() };
    const answer = await fetch(url, {
      method: "PUT",
      headers: signedHeaders(signing, {}, sha256Hex("")),
      body: "",
    });
    if (!answer.ok) throw new Error(`bucket ${name}: ${answer.status} ${await answer.text()}`);
    return `s3://${name}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child?.kill("SIGKILL");
    await this.#child?.exited;
  }
}

/** Where moto is installed; once a machine. */
async function motoHome(): Promise<string> {
  const home = `${process.env["XDG_CACHE_HOME"] ?? `${homedir()}/.cache`}/gantry-test/moto-5.2.5`;
  if (existsSync(home)) return home;
  const fresh = `${home}.${process.pid}`;
  const pip = Bun.spawn(
    ["python3", "-m", "pip", "install", "--quiet", "--no-warn-conflicts", "--target", fresh, ...packages],
    {
      stdio: ["ignore", "ignore", "pipe"],
    },
  );
  const told = await new Response(pip.stderr).text();
  if ((await pip.exited) !== 0) {
    rmSync(fresh, { recursive: true, force: true });
    throw new Error(`pip install moto: ${told}`);
  }
  renameSync(fresh, home);
  return home;
}
