/** Relays our stdin and stdout to a container's terminal and back, raw, until it ends. */
import { GantryError, isErrno } from "../../lib/index.ts";
import { type SignalForwarder, vanished, type Watcher } from "./follow.ts";
import type { Running } from "./launch.ts";
import type { ConsoleSocket } from "./terminal-options.ts";

const masterDeadlineMs = 10_000;
const pieceBytes = 16 << 10;
/**
 * After the end of the process what it wrote is still in the terminal, which holds less than this. Others who have it open
 * may write on, and are not waited for.
 */
const restBytes = 256 << 10;

/** Copies both ways; returns the exit code. Nothing more is read on a side whose other side takes nothing. */
export function relay(
  running: Running,
  console: ConsoleSocket,
  signals: SignalForwarder,
  others: readonly Watcher[] = [],
): number {
  const master = takeMaster(console);
  const terminal = [0, 1, 2].find((fd) => host.isTerminal(fd));
  if (terminal !== undefined) resize(master, terminal);
  if (host.isTerminal(0)) host.rawTerminal(0);
  host.setNonBlocking(master);
  return new Relay({ running, signals, master, terminal, others }).untilEnd();
}

function takeMaster({ near }: ConsoleSocket): number {
  const got = host.receiveFd(near, masterDeadlineMs);
  host.close(near);
  if (got === undefined || got.fd < 0)
    throw new GantryError("internal", "gantry-init did not send the container's terminal");
  return got.fd;
}

function resize(master: number, terminal: number): void {
  const { rows, cols } = host.windowSize(terminal);
  if (rows > 0 && cols > 0) host.setWindowSize(master, rows, cols);
}

/** Our input; its end when our terminal has hung up. */
function readOwn(): Uint8Array | undefined {
  try {
    return host.read(0, pieceBytes, 0);
  } catch (error) {
    if (isErrno(error, "EIO", "EBADF")) return nothing;
    throw error;
  }
}

const nothing: Uint8Array = new Uint8Array(0);

interface RelayParts {
  readonly running: Running;
  readonly signals: SignalForwarder;
  readonly master: number;
  readonly terminal: number | undefined;
  readonly others: readonly Watcher[];
}

class Relay {
  readonly #running: Running;
  readonly #signals: SignalForwarder;
  readonly #master: number;
  readonly #terminal: number | undefined;
  #others: readonly Watcher[];
  #toMaster = nothing;
  #toOutput = nothing;
  #input = true;
  #output = true;
  /** Bytes read from the terminal. */
  #taken = 0;
  #exitCode: number | undefined;

  constructor({ running, signals, master, terminal, others }: RelayParts) {
    this.#running = running;
    this.#signals = signals;
    this.#master = master;
    this.#terminal = terminal;
    this.#others = others;
  }

  untilEnd(): number {
    while (this.#exitCode === undefined) this.#round(-1);
    this.#taken = 0;
    while (this.#output || this.#toOutput.length > 0) {
      const waits = this.#toOutput.length > 0;
      const nothingReady = this.#round(waits ? -1 : 0);
      if (nothingReady && !waits) break;
      if (this.#taken >= restBytes) this.#output = false;
    }
    host.close(this.#master);
    return this.#exitCode;
  }

  /** True when nothing was ready. */
  #round(timeoutMs: number): boolean {
    const { control, frames, runnerPid } = this.#running;
    const inputs: [number, () => void][] = [];
    const outputs: [number, () => void][] = [];
    if (this.#exitCode === undefined) {
      inputs.push([control, () => this.#hear(frames.next(0))]);
      inputs.push([this.#signals.fd, () => this.#signals.passOn(runnerPid, () => this.#resized())]);
      for (const watcher of this.#others) inputs.push([watcher.fd, () => this.#ask(watcher)]);
      if (this.#input && this.#toMaster.length === 0) inputs.push([0, () => this.#readInput()]);
      if (this.#toMaster.length > 0) outputs.push([this.#master, () => this.#writeMaster()]);
    } else {
      inputs.push([this.#signals.fd, () => this.#stop()]);
    }
    if (this.#output && this.#toOutput.length === 0) inputs.push([this.#master, () => this.#readMaster()]);
    if (this.#toOutput.length > 0) outputs.push([1, () => this.#writeOutput()]);
    const all = [...inputs, ...outputs];
    const ready = host.poll(
      inputs.map(([fd]) => fd),
      timeoutMs,
      outputs.map(([fd]) => fd),
    );
    for (const index of ready) all[index]?.[1]();
    return ready.length === 0;
  }

  #hear(frame: ReturnType<Running["frames"]["next"]>): void {
    if (frame === "end") throw vanished();
    if (frame !== "late" && frame.type === "exited") this.#exitCode = frame.exited.exitCode;
  }

  #ask(watcher: Watcher): void {
    if (!watcher.take()) this.#others = this.#others.filter((other) => other !== watcher);
  }

  /** A signal while the last output is written: nobody is left to pass it on to. */
  #stop(): void {
    this.#toOutput = nothing;
    this.#output = false;
  }

  #resized(): void {
    if (this.#terminal !== undefined) resize(this.#master, this.#terminal);
  }

  #readInput(): void {
    const bytes = readOwn();
    if (bytes === undefined) return;
    if (bytes.length === 0) {
      this.#input = false;
      // Ctrl-D: what ends the input of a program on a terminal.
      this.#toMaster = Uint8Array.of(4);
      return;
    }
    this.#toMaster = bytes;
  }

  #writeMaster(): void {
    try {
      this.#toMaster = this.#toMaster.subarray(host.writeSome(this.#master, this.#toMaster));
    } catch (error) {
      // EIO: nobody has the terminal open any more.
      if (!isErrno(error, "EIO")) throw error;
      this.#toMaster = nothing;
    }
  }

  #readMaster(): void {
    try {
      const bytes = host.read(this.#master, pieceBytes, 0);
      if (bytes === undefined) return;
      if (bytes.length === 0) this.#output = false;
      this.#taken += bytes.length;
      this.#toOutput = bytes;
    } catch (error) {
      // EIO: the last holder of the terminal has closed it. EAGAIN: another reader was faster.
      if (isErrno(error, "EIO")) this.#output = false;
      else if (!isErrno(error, "EAGAIN")) throw error;
    }
  }

  /** No more than what a pipe that poll calls writable takes without blocking. */
  #writeOutput(): void {
    try {
      this.#toOutput = this.#toOutput.subarray(host.writeSome(1, this.#toOutput.subarray(0, 4096)));
    } catch (error) {
      // Nobody reads any more: the container's terminal is closed, which it notices.
      if (!isErrno(error, "EPIPE", "EIO")) throw error;
      this.#toOutput = nothing;
      this.#output = false;
    }
  }
}
