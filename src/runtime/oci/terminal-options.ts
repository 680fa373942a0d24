/** Where a container's terminal goes: to the socket of --console-socket, or to us. */
import { GantryError } from "../../lib/index.ts";
import type { OciConfig } from "../oci-types.ts";
import type { MonitorOptions } from "../plan-step.ts";
import type { ParsedFlags } from "./flags.ts";
import { resolvePath } from "./paths.ts";

/** The socket on which gantry-init sends us the terminal's master. */
export interface ConsoleSocket {
  readonly near: number;
}

export interface TerminalOptions {
  readonly options: MonitorOptions;
  /** Of the socket pair the end for gantry-init. */
  passed(): { readonly console?: number };
  kept(): { readonly console?: ConsoleSocket };
  closePassed(): void;
}

const nothing = {
  passed: () => ({}),
  kept: () => ({}),
  closePassed: () => {},
};

/** The rules of runc for a terminal and its socket. @throws {GantryError} "invalid" */
export function terminalOptions(config: OciConfig, flags: ParsedFlags, detach: boolean): TerminalOptions {
  const socket = flags.text("console-socket") ?? "";
  if (config.process?.terminal !== true) {
    if (socket !== "")
      throw new GantryError("invalid", "cannot use console socket if gantry-oci will not allocate tty");
    return { options: {}, ...nothing };
  }
  if (detach && socket === "")
    throw new GantryError(
      "invalid",
      "cannot allocate tty if gantry-oci will detach without setting console socket",
      { hint: "give --console-socket, or set process.terminal to false" },
    );
  if (!detach && socket !== "")
    throw new GantryError("invalid", "cannot use console socket if gantry-oci will not detach");
  const size = config.process.consoleSize;
  const given = { rows: size?.height ?? 0, cols: size?.width ?? 0 };
  if (socket !== "") return { options: { terminal: given, consoleSocket: resolvePath(socket) }, ...nothing };
  return { options: { terminal: given.rows > 0 ? given : ownSize() }, ...socketPair() };
}

/** Of the terminal we run on, the same that is relayed later. */
function ownSize(): { readonly rows: number; readonly cols: number } {
  const fd = [0, 1, 2].find((candidate) => host.isTerminal(candidate));
  return fd === undefined ? { rows: 0, cols: 0 } : host.windowSize(fd);
}

function socketPair(): Omit<TerminalOptions, "options"> {
  const [near, far] = host.socketpair();
  return {
    passed: () => ({ console: far }),
    kept: () => ({ console: { near } }),
    closePassed: () => host.close(far),
  };
}
