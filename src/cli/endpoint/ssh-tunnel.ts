/**
 * An engine behind ssh: a socket of ours, in a directory that nobody else may enter; whoever connects to it gets an ssh of
 * his own that runs `dial-stdio` on the other machine.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

import type { Address, SshTarget } from "../connection/address.ts";

const mostComplaint = 4096;

const endings = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

export class SshTunnel {
  readonly address: Address;
  readonly #directory: string;
  readonly #children = new Set<ChildProcess>();
  #complaint = "";

  private constructor(directory: string) {
    this.#directory = directory;
    this.address = { is: "unix", path: join(directory, "engine.sock") };
  }

  /** Listens; ssh is asked only when somebody connects. */
  static async open(target: SshTarget): Promise<SshTunnel> {
    const tunnel = new SshTunnel(mkdtempSync(join(tmpdir(), "gantry-ssh-")));
    const server = createServer({ allowHalfOpen: true }, (socket) => tunnel.#dial(socket, sshWords(target)));
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(join(tunnel.#directory, "engine.sock"), resolve);
    });
    // The command's end is the tunnel's.
    server.unref();
    for (const signal of endings) process.on(signal, () => tunnel.#endBy(signal));
    return tunnel;
  }

  /** What the last ssh that failed said; empty: none failed. */
  get complaint(): string {
    return this.#complaint;
  }

  /** Ends every ssh; nothing of the tunnel stays. */
  close(): void {
    for (const child of this.#children) child.kill();
    rmSync(this.#directory, { recursive: true, force: true });
  }

  /** A signal that the command does not take itself ends the program as if we had not listened. */
  #endBy(signal: NodeJS.Signals): void {
    if (process.listenerCount(signal) > 1) return;
    this.close();
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
  }

  #dial(socket: Socket, words: readonly string[]): void {
    const child = spawn("ssh", words, { stdio: ["pipe", "pipe", "pipe"] });
    this.#children.add(child);
    let said = "";
    child.stderr.on("data", (bytes: Buffer) => {
      if (said.length < mostComplaint) said += bytes.toString();
    });
    child.on("error", (error) => this.#failed(socket, `cannot run ssh: ${error.message}`));
    child.on("close", (code) => {
      this.#children.delete(child);
      if (code === 0 || code === null) socket.end();
      else this.#failed(socket, said.trim() || `ssh ended with exit code ${code}`);
    });
    // Either side may go first. What ssh has to say of its end is known at its "close", so the socket waits for that.
    for (const stream of [socket, child.stdin, child.stdout]) stream.on("error", () => undefined);
    socket.on("close", () => child.kill());
    socket.pipe(child.stdin);
    child.stdout.pipe(socket, { end: false });
  }

  #failed(socket: Socket, complaint: string): void {
    this.#complaint = complaint.slice(0, mostComplaint);
    socket.destroy();
  }
}

/** ssh's command line. Pure. */
export function sshWords({ user, host, port, path }: SshTarget): readonly string[] {
  return [
    "-o",
    "ConnectTimeout=30",
    "-T",
    ...(user === "" ? [] : ["-l", user]),
    ...(port === 0 ? [] : ["-p", String(port)]),
    "--",
    host,
    dialCommand(path),
  ];
}

/** For the shell over there, whichever it is: gantry where there is one, else docker. */
function dialCommand(path: string): string {
  const host = path === "" ? "" : ` -H ${quote(`unix://${path}`)}`;
  const script = `if command -v gantry >/dev/null 2>&1; then exec gantry${host} system dial-stdio; fi; exec docker${host} system dial-stdio`;
  return `sh -c ${quote(script)}`;
}

const quote = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;
