/**
 * NOTIFY_SOCKET (sd_notify(3)): a service manager waits there for the word that a service is ready. The container gets a
 * socket of its own below /run/notify; what it says about being ready is passed on, with the pid to watch.
 */
import { messageOf, toGantryError } from "../../lib/index.ts";
import type { OciConfig } from "../oci-types.ts";
import { envOf } from "./context.ts";
import { warn } from "./log.ts";
import { isAlive, type ProcessIdentity } from "./process-identity.ts";

const insideDir = "/run/notify";
const fileName = "notify.sock";
const maxDatagram = 64 << 10;
const lookEveryMs = 100;
/** systemd closes the barrier's fd once it has handled all before. */
const barrierMs = 5_000;

export class NotifySocket {
  readonly #dir: string;
  readonly #manager: string;
  #fd = -1;

  constructor(containerDir: string, manager: string) {
    this.#dir = `${containerDir}/notify`;
    this.#manager = manager;
  }

  /** Undefined when nobody waits. */
  static fromEnvironment(containerDir: string): NotifySocket | undefined {
    const manager = envOf("NOTIFY_SOCKET") ?? "";
    return manager === "" ? undefined : new NotifySocket(containerDir, manager);
  }

  /** The config with the directory of the socket mounted, and its place in the environment. */
  configure(config: OciConfig): OciConfig {
    const { process } = config;
    if (process === undefined) return config;
    return {
      ...config,
      process: { ...process, env: [...(process.env ?? []), `NOTIFY_SOCKET=${insideDir}/${fileName}`] },
      mounts: [
        ...(config.mounts ?? []),
        {
          destination: insideDir,
          type: "bind",
          source: this.#dir,
          options: ["bind", "nosuid", "noexec", "nodev", "ro"],
        },
      ],
    };
  }

  /** The directory that is mounted. */
  prepare(): void {
    host.mkdir(this.#dir, 0o755);
  }

  /** The socket; from now on the container can say something. */
  bind(): void {
    const path = `${this.#dir}/${fileName}`;
    try {
      if (host.access(path, 0)) host.unlink(path);
      this.#fd = host.bindDatagram(path);
    } catch (error) {
      throw toGantryError(error, `bind the notify socket ${path}`);
    }
  }

  /** Readable when the container has said something. */
  get fd(): number {
    return this.#fd;
  }

  /** Passes on, as long as the process lives, until it has said that it is ready. */
  relayUntilReady(process: ProcessIdentity): void {
    while (isAlive(process)) {
      if (host.poll([this.#fd], lookEveryMs).length > 0 && this.relay(process.pid)) return;
    }
  }

  /** Takes one message; true when it was the word that the container is ready. */
  relay(mainPid: number): boolean {
    const bytes = host.read(this.#fd, maxDatagram, 0);
    const lines = bytes === undefined ? [] : new TextDecoder().decode(bytes).split("\n");
    const ready = lines.find((line) => line.startsWith("READY="));
    if (ready === undefined) return false;
    try {
      tellManager(this.#manager, ready, mainPid);
    } catch (error) {
      warn(`NOTIFY_SOCKET ${this.#manager}: ${messageOf(error)}`);
    }
    return true;
  }
}

function tellManager(path: string, ready: string, mainPid: number): void {
  const socket = host.connectDatagram(path);
  try {
    host.write(socket, `${ready}\n`);
    host.write(socket, `MAINPID=${mainPid}\n`);
    const [near, far] = host.socketpair();
    try {
      host.sendFds(socket, "BARRIER=1", [far]);
    } finally {
      host.close(far);
    }
    host.poll([near], barrierMs);
    host.close(near);
  } finally {
    host.close(socket);
  }
}
