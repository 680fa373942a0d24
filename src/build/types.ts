/** What a build is asked for, what it says while it runs, and what it needs from the engine to run a command. */
import type { Digest, Logger } from "../lib/index.ts";
import type { ImageStore, Trees } from "../image/index.ts";

/** One `--ulimit` of a build. */
export interface BuildUlimit {
  /** As `docker build --ulimit` names it: `nofile`. */
  readonly name: string;
  /** -1 is no limit. */
  readonly soft: number;
  readonly hard: number;
}

/** Limits of every RUN; what is missing is not limited. */
export interface BuildLimits {
  readonly memoryBytes?: number;
  /** Memory and swap together; -1 is unlimited swap. */
  readonly memorySwapBytes?: number;
  readonly cpuPeriodUs?: number;
  readonly cpuQuotaUs?: number;
  readonly cpuShares?: number;
  readonly cpusetCpus?: string;
  readonly cpusetMems?: string;
  readonly shmSizeBytes?: number;
  readonly ulimits?: readonly BuildUlimit[];
}

/** Everything that POST /build may ask for; what is missing has docker's default. */
export interface BuildRequest {
  /** The build context: a tar stream, plain, gzip or zstd. */
  readonly context: AsyncIterable<Uint8Array>;
  /** Path of the Dockerfile in the context; `Dockerfile` when empty or missing. */
  readonly dockerfile?: string;
  /** A context to fetch from elsewhere: refused, with what to do instead. */
  readonly remote?: string;
  /** null: named by the client without a value; the Dockerfile's default holds. */
  readonly buildArgs?: Readonly<Record<string, string | null>>;
  readonly labels?: Readonly<Record<string, string>>;
  /** Names of the image, as `docker build -t` takes them. */
  readonly tags?: readonly string[];
  /** Name or number of the last stage to build. */
  readonly target?: string;
  /** `linux/amd64`; refused unless it is this machine's. */
  readonly platform?: string;
  readonly noCache?: boolean;
  /** Only what these images are made of counts as cache; unknown ones have nothing to give. Empty: everything here does. */
  readonly cacheFrom?: readonly string[];
  /** Ask the registry for newer base images, also for those that are here. */
  readonly pull?: boolean;
  /** Say nothing but the image's id; on failure everything that was kept back. */
  readonly quiet?: boolean;
  /** Print that intermediate containers are removed (`--rm`, default true). They always are. */
  readonly remove?: boolean;
  /** The same after a failed step (`--force-rm`). */
  readonly forceRemove?: boolean;
  /** Network of RUN: `default`, `bridge`, `none`, `host` or a network's name. */
  readonly network?: string;
  /** Lines of /etc/hosts as `name:address`. */
  readonly extraHosts?: readonly string[];
  readonly limits?: BuildLimits;
  /** Names of registries to what opens them: passed on to `fetchImage`. */
  readonly credentials?: ReadonlyMap<string, object>;
}

/** One message of the build's stream, as the Docker API has it. */
export type BuildMessage =
  | { readonly stream: string }
  | { readonly status: string; readonly id?: string }
  | { readonly aux: { readonly ID: Digest } };

/** Takes the build's messages in their order; a returned promise makes a command's output wait. */
export type TakeMessage = (message: BuildMessage) => void | Promise<void>;

/** One command to run on an overlay that the builder owns. */
export interface BuildRun {
  /** 64 hex digits: the container's id, whose first 12 are shown as "Running in". */
  readonly id: string;
  /** Lower directories of the overlay, top first; never empty. */
  readonly lowers: readonly string[];
  /** Directories on the same file system, empty but for a script of ours; the builder removes them. */
  readonly upper: string;
  readonly work: string;
  readonly args: readonly string[];
  /** `NAME=value`, complete (PATH included). */
  readonly env: readonly string[];
  /** Absolute. */
  readonly workingDir: string;
  /** `name`, `uid`, either with `:group`, or empty for root; looked up in the root's /etc/passwd by the runner. */
  readonly user: string;
  readonly network: string;
  readonly extraHosts: readonly string[];
  readonly limits: BuildLimits;
  /** Called with output in its order; a returned promise asks for backpressure. */
  readonly onOutput: (stream: 1 | 2, bytes: Uint8Array) => void | Promise<void>;
  readonly signal: AbortSignal;
}

/** The engine's hand: runs a command in a container of its own and removes all of it but the upper directory. */
export interface BuildRunner {
  /**
   * Resolves when the command has ended and nothing uses the overlay any more, also when its exit code is not 0.
   * When `signal` aborts, the command is killed and the promise rejects once all is gone.
   */
  run(request: BuildRun): Promise<{ readonly exitCode: number }>;
}

/** Brings an image here from its registry. @throws {GantryError} when that cannot be done */
export type FetchImage = (
  reference: string,
  options: { readonly onMessage: TakeMessage; readonly signal: AbortSignal; readonly request: BuildRequest },
) => Promise<void>;

/** What a builder works with. */
export interface BuilderOptions {
  /** Without: only images that are here can be built upon. */
  readonly fetchImage?: FetchImage;
  readonly images: ImageStore;
  readonly trees: Trees;
  readonly runner: BuildRunner;
  /** A directory of the builder's own, on the image store's file system. Leftovers in it are removed at start. */
  readonly root: string;
  readonly logger: Logger;
  /** Bytes of files a context may hold. */
  readonly maxContextBytes?: number;
  /** Bytes that ADD may fetch from one URL. */
  readonly maxDownloadBytes?: number;
  /** Milliseconds since 1970, for the `created` times; the system's clock when missing. */
  readonly now?: () => number;
}
