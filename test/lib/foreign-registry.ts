/** Debian's docker-registry with a configuration of the test's own: TLS, tokens, passwords. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { freePort } from "./postgres.ts";

export interface ForeignOptions {
  /** The `auth` section. */
  readonly auth?: object;
  /** `http.tls`. */
  readonly tls?: object;
  /** Where it listens; loopback without. */
  readonly address?: string;
}

export class ForeignRegistry {
  readonly dir: string;
  readonly host: string;
  readonly #child: Bun.Subprocess;

  private constructor(dir: string, host: string, child: Bun.Subprocess) {
    this.dir = dir;
    this.host = host;
    this.#child = child;
  }

  static async start({ auth, tls, address = "127.0.0.1" }: ForeignOptions = {}): Promise<ForeignRegistry> {
    const dir = mkdtempSync("/tmp/gantry-foreign-registry-");
    const port = await freePort();
    const config = {
      version: "0.1",
      log: { level: "error", accesslog: { disabled: true } },
      storage: { filesystem: { rootdirectory: `${dir}/data` }, delete: { enabled: true } },
      http: { addr: `${address}:${port}`, ...(tls === undefined ? {} : { tls }) },
      ...(auth === undefined ? {} : { auth }),
    };
    // JSON is YAML.
    writeFileSync(`${dir}/config.yml`, JSON.stringify(config));
    const child = Bun.spawn(["docker-registry", "serve", `${dir}/config.yml`], {
      stdio: ["ignore", "ignore", "ignore"],
    });
    const registry = new ForeignRegistry(dir, `${address}:${port}`, child);
    for (let tries = 0; !(await isOpen(port, address)); tries++) {
      if (tries > 400) throw new Error("docker-registry has not started");
      await Bun.sleep(25);
    }
    return registry;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#child.exited;
    rmSync(this.dir, { recursive: true, force: true });
  }
}

/** Whether somebody listens there. */
export function isOpen(port: number, address: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, address, () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}
