/** Debian's docker-registry, for tests that need a registry which we did not write. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createHash } from "node:crypto";
import { freePort } from "./postgres.ts";

export class TestDockerRegistry {
  readonly directory: string;
  readonly port: number;
  readonly #headers: Readonly<Record<string, string>>;
  #child: Bun.Subprocess | undefined;

  private constructor(directory: string, port: number, account: string | undefined) {
    this.directory = directory;
    this.port = port;
    this.#headers = account === undefined ? {} : { authorization: `Basic ${btoa(account)}` };
  }

  /** @param account `user:password` that everything needs, by basic auth */
  static async start(account?: string): Promise<TestDockerRegistry> {
    const registry = new TestDockerRegistry(
      mkdtempSync("/tmp/gantry-docker-registry-"),
      await freePort(),
      account,
    );
    const config = {
      version: "0.1",
      log: { level: "error", accesslog: { disabled: true } },
      storage: { filesystem: { rootdirectory: `${registry.directory}/data` }, delete: { enabled: true } },
      http: { addr: `127.0.0.1:${registry.port}` },
      ...(account === undefined
        ? {}
        : { auth: { htpasswd: { realm: "test", path: `${registry.directory}/htpasswd` } } }),
    };
    if (account !== undefined) await writeHtpasswd(`${registry.directory}/htpasswd`, account);
    // JSON is YAML.
    writeFileSync(`${registry.directory}/config.yml`, JSON.stringify(config));
    await registry.up();
    return registry;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  async up(): Promise<void> {
    this.#child = Bun.spawn(["docker-registry", "serve", `${this.directory}/config.yml`], {
      stdio: ["ignore", "ignore", "ignore"],
    });
    for (let tries = 0; ; tries++) {
      if (
        await fetch(`${this.url}/v2/`).then(
          ({ ok, status }) => ok || status === 401,
          () => false,
        )
      )
        return;
      if (tries > 200) throw new Error("docker-registry has not started");
      await Bun.sleep(25);
    }
  }

  async down(): Promise<void> {
    this.#child?.kill("SIGKILL");
    await this.#child?.exited;
  }

  /** Pushes an image of one layer; digests of what it is made of. */
  async push(repository: string, tag: string, layer: Uint8Array): Promise<PushedImage> {
    const config = Buffer.from(
      JSON.stringify({
        architecture: "amd64",
        os: "linux",
        config: {},
        rootfs: { type: "layers", diff_ids: [digest(layer)] },
        made: layer.length,
        tag,
      }),
    );
    for (const blob of [config, layer]) await this.#pushBlob(repository, blob);
    const manifest = Buffer.from(
      JSON.stringify({
        schemaVersion: 2,
        mediaType: manifestType,
        config: {
          mediaType: "application/vnd.oci.image.config.v1+json",
          digest: digest(config),
          size: config.length,
        },
        layers: [
          { mediaType: "application/vnd.oci.image.layer.v1.tar", digest: digest(layer), size: layer.length },
        ],
      }),
    );
    const answer = await fetch(`${this.url}/v2/${repository}/manifests/${tag}`, {
      method: "PUT",
      headers: { ...this.#headers, "content-type": manifestType },
      body: manifest,
    });
    if (!answer.ok) throw new Error(await answer.text());
    return { manifest: digest(manifest), config: digest(config), layer: digest(layer) };
  }

  async #pushBlob(repository: string, blob: Uint8Array): Promise<void> {
    const begun = await fetch(`${this.url}/v2/${repository}/blobs/uploads/`, {
      method: "POST",
      headers: this.#headers,
    });
    const location = new URL(begun.headers.get("location") ?? "", this.url);
    location.searchParams.set("digest", digest(blob));
    const answer = await fetch(location, {
      method: "PUT",
      headers: { ...this.#headers, "content-type": "application/octet-stream" },
      body: blob,
    });
    if (!answer.ok) throw new Error(await answer.text());
  }

  /** Where it keeps a blob. */
  blobPath(blob: string): string {
    const hex = blob.slice("sha256:".length);
    return `${this.directory}/data/docker/registry/v2/blobs/sha256/${hex.slice(0, 2)}/${hex}/data`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.down();
    rmSync(this.directory, { recursive: true, force: true });
  }
}

async function writeHtpasswd(path: string, account: string): Promise<void> {
  const [user = "", password = ""] = account.split(":");
  // The only kind that docker-registry reads.
  const hash = await Bun.password.hash(password, { algorithm: "bcrypt", cost: 4 });
  writeFileSync(path, `${user}:${hash}\n`);
}

export interface PushedImage {
  readonly manifest: string;
  readonly config: string;
  readonly layer: string;
}

const manifestType = "application/vnd.oci.image.manifest.v1+json";

function digest(bytes: Uint8Array): string {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}
