/** A builder with a real image store and a runner double: overlay and chroot in a child, no engine. Needs root. */
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  Builder,
  type BuildMessage,
  type BuildRequest,
  type BuildRun,
  type BuildRunner,
} from "../../src/build/index.ts";
import { bootstrap, type ImageRecord, ImageStore, Trees } from "../../src/image/index.ts";
import { loadSys } from "../../src/kernel/index.ts";
import {
  createLogger,
  Database,
  GantryError,
  tarHeader,
  tarPadding,
  tarTrailer,
  type TarEntryInput,
} from "../../src/lib/index.ts";
import { snapshotterWish } from "./image-fixture.ts";

/** One file of a context: its text, or an entry of its own. */
export type ContextFile = string | Uint8Array | Partial<TarEntryInput>;

/** The tar of a build context; a name with a slash at its end is a directory. */
export function contextTar(files: Readonly<Record<string, ContextFile>>): Uint8Array {
  const pieces = Object.entries(files).flatMap(([path, file]) => {
    if (typeof file !== "string" && !(file instanceof Uint8Array)) {
      return [tarHeader({ path, type: "file", ...file })];
    }
    if (path.endsWith("/")) return [tarHeader({ path, type: "dir" })];
    const bytes = Buffer.from(file);
    return [
      tarHeader({ path, type: "file", size: bytes.length, mtimeNs: 1_000_000_000_000_000_000n }),
      bytes,
      tarPadding(bytes.length),
    ];
  });
  return Buffer.concat([...pieces, tarTrailer]);
}

async function* stream(bytes: Uint8Array): AsyncGenerator<Uint8Array, void, void> {
  yield bytes;
}

const enter = `
set -e
mnt=$1; lowers=$2; upper=$3; work=$4; dir=$5; shift 5
mount -t overlay overlay -o "lowerdir=$lowers,upperdir=$upper,workdir=$work" "$mnt"
mkdir -p "$mnt/proc" "$mnt/dev"; mount -t proc proc "$mnt/proc"; mount -t tmpfs tmpfs "$mnt/dev"
mknod -m 666 "$mnt/dev/null" c 1 3; mknod -m 666 "$mnt/dev/zero" c 1 5
exec chroot "$mnt" /bin/sh -c 'cd "$0" && exec "$@"' "$dir" "$@"`;

/** Runs a command in a mount and pid namespace of its own. */
class ChrootRunner implements BuildRunner {
  readonly #mount: string;
  readonly requests: BuildRun[] = [];

  constructor(mount: string) {
    this.#mount = mount;
  }

  async run(request: BuildRun): Promise<{ readonly exitCode: number }> {
    this.requests.push(request);
    const { lowers, upper, work, workingDir, args } = request;
    const words = [this.#mount, lowers.join(":"), upper, work, workingDir, ...args];
    const child = Bun.spawn(
      [
        "/usr/bin/unshare",
        "--mount",
        "--pid",
        "--fork",
        "--kill-child",
        "/bin/sh",
        "-c",
        enter,
        "sh",
        ...words,
      ],
      {
        env: Object.fromEntries(
          request.env.map((item) => [item.slice(0, item.indexOf("=")), item.slice(item.indexOf("=") + 1)]),
        ),
        stdin: "ignore",
        stdout: "pipe",
        stderr: "pipe",
      },
    );
    const kill = (): void => child.kill("SIGKILL");
    request.signal.addEventListener("abort", kill, { once: true });
    const relay = async (from: ReadableStream<Uint8Array>, to: 1 | 2): Promise<void> => {
      for await (const bytes of from) await request.onOutput(to, bytes);
    };
    await Promise.all([relay(child.stdout, 1), relay(child.stderr, 2)]);
    const exitCode = await child.exited;
    request.signal.removeEventListener("abort", kill);
    if (request.signal.aborted) throw new GantryError("canceled", "the build was canceled");
    return { exitCode };
  }
}

export interface Built {
  readonly image: ImageRecord | undefined;
  readonly error: GantryError | undefined;
  /** All text, ids of containers and images replaced by CONTAINER and IMAGE. */
  readonly text: string;
  readonly messages: readonly BuildMessage[];
}

export class BuildWorld implements AsyncDisposable {
  readonly dir: string;
  readonly images: ImageStore;
  readonly trees: Trees;
  readonly runner: ChrootRunner;
  readonly buildRoot: string;
  readonly #db: Database;
  readonly #owned: boolean;
  builder: Builder;

  private constructor(dir: string, owned: boolean) {
    this.dir = dir;
    this.#owned = owned;
    mkdirSync(`${dir}/mnt`, { recursive: true });
    this.#db = new Database(`${dir}/db`);
    const sys = loadSys();
    this.images = new ImageStore({
      root: dir,
      db: this.#db,
      sys,
      logger: createLogger("error"),
      snapshotter: snapshotterWish,
    });
    this.trees = new Trees(sys, dir);
    this.runner = new ChrootRunner(`${dir}/mnt`);
    this.buildRoot = `${dir}/build`;
    this.builder = this.newBuilder();
  }

  /** @param dir an existing directory; without: a new one, removed at the end */
  static async open(dir?: string): Promise<BuildWorld> {
    const world = new BuildWorld(dir ?? mkdtempSync(join(tmpdir(), "gantry-build-")), dir === undefined);
    await bootstrap("busybox", world.images, { onLine: () => undefined });
    return world;
  }

  newBuilder(): Builder {
    const { images, trees, runner, buildRoot: root } = this;
    return new Builder({
      images,
      trees,
      runner,
      root,
      logger: createLogger("error"),
      maxContextBytes: 256 << 20,
      maxDownloadBytes: 1 << 20,
    });
  }

  /** Builds and never throws but for what is no GantryError. */
  async build(
    files: Readonly<Record<string, ContextFile>> | Uint8Array,
    request: Partial<BuildRequest> = {},
    signal: AbortSignal = new AbortController().signal,
  ): Promise<Built> {
    const messages: BuildMessage[] = [];
    const context = stream(files instanceof Uint8Array ? files : contextTar(files));
    let image: ImageRecord | undefined;
    let error: GantryError | undefined;
    try {
      image = await this.builder.build(
        { context, ...request },
        (message) => void messages.push(message),
        signal,
      );
    } catch (thrown) {
      if (!(thrown instanceof GantryError)) throw thrown;
      error = thrown;
    }
    const all = messages.map((message) => ("stream" in message ? message.stream : "")).join("");
    const text = all
      .replaceAll(/(Running in |intermediate container )[0-9a-f]{12}/g, "$1CONTAINER")
      .replaceAll(/( ---> |Successfully built )[0-9a-f]{12}/g, "$1IMAGE");
    return { image, error, text, messages };
  }

  /** What an image has beyond busybox: `path kind mode uid:gid content`, sorted. */
  async filesOf(image: ImageRecord | undefined): Promise<readonly string[]> {
    if (image === undefined) return ["no image"];
    const base = new Set(
      (await this.trees.list({ lowers: this.images.find("busybox").lowers }, "/", { recursive: true }))?.map(
        (e) => e.path,
      ),
    );
    const root = { lowers: image.lowers };
    const entries = (await this.trees.list(root, "/", { recursive: true })) ?? [];
    const added = entries.filter((entry) => entry.path !== "" && !base.has(entry.path));
    return Promise.all(
      added.map(async ({ path, type, mode, uid, gid, linkPath }) => {
        const bytes = type === "file" ? await this.trees.readFile(root, `/${path}`, 8 << 20) : undefined;
        const what =
          type === "symlink"
            ? `-> ${linkPath}`
            : type === "dir"
              ? "dir"
              : JSON.stringify(new TextDecoder().decode(bytes));
        return `${path} ${mode.toString(8)} ${uid}:${gid} ${what}`;
      }),
    );
  }

  /** Directories of running builds that are still there. */
  leftovers(): readonly string[] {
    return readdirSync(`${this.buildRoot}/active`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.images.idle();
    this.images.unmount([]);
    this.#db.close();
    if (this.#owned) rmSync(this.dir, { recursive: true, force: true });
  }
}
