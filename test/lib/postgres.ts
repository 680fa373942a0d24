/** A PostgreSQL of Debian's, in a directory of its own, for as long as a test needs it. */
import { chownSync, mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";

const bin = "/usr/lib/postgresql/15/bin";

export class TestPostgres {
  readonly url: string;
  readonly #directory: string;
  readonly #port: number;
  #databases = 0;

  private constructor(directory: string, port: number) {
    this.#directory = directory;
    this.#port = port;
    this.url = `postgres://postgres@127.0.0.1:${port}`;
  }

  static async start(): Promise<TestPostgres> {
    const directory = mkdtempSync("/tmp/gantry-postgres-");
    const { uid, gid } = await postgresUser();
    chownSync(directory, uid, gid);
    const server = new TestPostgres(directory, await freePort());
    await asPostgres(`${bin}/initdb -D ${directory}/data -A trust -N --no-locale -E UTF8`);
    await server.up();
    return server;
  }

  /** A new, empty database; its URL. */
  async database(): Promise<string> {
    this.#databases += 1;
    const name = `t${this.#databases}`;
    await asPostgres(`${bin}/createdb -h 127.0.0.1 -p ${this.#port} ${name}`);
    return `${this.url}/${name}`;
  }

  async up(): Promise<void> {
    const options = `-c listen_addresses=127.0.0.1 -c port=${this.#port} -c unix_socket_directories=${this.#directory}`;
    await asPostgres(
      `${bin}/pg_ctl -D ${this.#directory}/data -o '${options}' -l ${this.#directory}/log -w start`,
    );
  }

  /** @param mode "immediate" is a crash */
  async down(mode: "fast" | "immediate" = "fast"): Promise<void> {
    await asPostgres(`${bin}/pg_ctl -D ${this.#directory}/data -m ${mode} -w stop`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.down("immediate").catch(() => undefined);
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

async function asPostgres(command: string): Promise<void> {
  const child = Bun.spawn(["runuser", "-u", "postgres", "--", "sh", "-c", command], {
    cwd: "/tmp",
    stdin: "ignore",
    stdout: "ignore",
    stderr: "pipe",
  });
  const told = await new Response(child.stderr).text();
  if ((await child.exited) !== 0) throw new Error(`${command}: ${told}`);
}

async function postgresUser(): Promise<{ readonly uid: number; readonly gid: number }> {
  const id = async (flag: string): Promise<number> => Number(await Bun.$`id ${flag} postgres`.text());
  return { uid: await id("-u"), gid: await id("-g") };
}

/** A port of the loopback that nobody has now. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}
