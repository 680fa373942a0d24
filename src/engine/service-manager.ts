/** What systemd is told (sd_notify) and what it hands over (LISTEN_FDS). Without it nothing of this does anything. */
import { readFileSync, readlinkSync } from "node:fs";
import { sendDatagram, type Sys } from "../kernel/index.ts";
import { GantryError, isErrno, type Logger } from "../lib/index.ts";

const firstFd = 3;

/** Tells the service manager how the engine is: lines such as `READY=1`. Never throws. */
export async function notifyManager(logger: Logger, ...lines: readonly string[]): Promise<void> {
  const socket = process.env["NOTIFY_SOCKET"];
  if (socket === undefined || socket === "") return;
  try {
    if (await sendDatagram(socket, lines.join("\n"))) return;
    logger.warn("manager.not-told", { socket });
  } catch (error) {
    logger.warn("manager.not-told", { socket, message: String(error) });
  }
}

export interface HandedSocket {
  readonly fd: number;
  readonly name: string;
  /** Of a unix socket; undefined for TCP. */
  readonly path: string | undefined;
}

/** The sockets that were handed to this process. */
export class HandedSockets {
  readonly #all: readonly HandedSocket[];
  /** Copies of each, for a program that replaces this one, with the number that it is to have there. */
  readonly copies: readonly (readonly [copy: number, number: number])[];

  constructor(
    sys: Pick<Sys, "dup">,
    environment: Readonly<Record<string, string | undefined>> = process.env,
  ) {
    this.#all = handedSockets(environment);
    this.copies = this.#all.map(({ fd }) => [sys.dup(fd), fd]);
  }

  /** @param wish a name, a number, or "" for all. @throws {GantryError} "not-found" when there is none */
  choose(wish: string): readonly HandedSocket[] {
    const chosen = this.#all.filter(({ fd, name }) => wish === "" || name === wish || String(fd) === wish);
    if (chosen.length > 0) return chosen;
    throw new GantryError("not-found", `no sockets found: fd://${wish} needs a socket from systemd`, {
      hint: "start the engine by its units: systemctl start gantry.socket gantry.service",
    });
  }
}

function handedSockets(environment: Readonly<Record<string, string | undefined>>): readonly HandedSocket[] {
  if (Number(environment["LISTEN_PID"]) !== process.pid) return [];
  const count = Math.min(Number(environment["LISTEN_FDS"]) || 0, 1000);
  const names = (environment["LISTEN_FDNAMES"] ?? "").split(":");
  return Array.from({ length: count }, (_, index) => {
    const fd = firstFd + index;
    return { fd, name: names[index] ?? "", path: unixPathOf(fd) };
  });
}

/** /proc/net/unix has the paths of unix sockets by their inodes. */
function unixPathOf(fd: number): string | undefined {
  try {
    const inode = /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/self/fd/${fd}`))?.[1];
    if (inode === undefined) return undefined;
    const line = new RegExp(String.raw`^\w+: (?:\w+ ){5} *${inode}(?: (.*))?$`, "m");
    return line.exec(readFileSync("/proc/net/unix", "latin1"))?.[1];
  } catch (error) {
    // ENOENT: the environment promises more than there is.
    if (isErrno(error, "ENOENT")) return undefined;
    throw error;
  }
}
