/** Which of our file descriptors go on to the process: --preserve-fds and systemd's socket activation (sd_listen_fds(3)). */
import { GantryError } from "../../lib/index.ts";
import type { OciConfig } from "../oci-types.ts";
import { envOf } from "./context.ts";
import type { ParsedFlags } from "./flags.ts";

const most = 1024;

export interface PassedFds {
  /** From 3 on. */
  readonly count: number;
  /** What tells the process about the sockets among them. */
  readonly env: readonly string[];
}

/**
 * To be called before we open anything ourselves: what is open from 3 on is then the caller's.
 * @throws {GantryError} "invalid" when there are fewer than asked for
 */
export function passedFds(flags: ParsedFlags): PassedFds {
  const listen = listenFds();
  const count = (flags.number("preserve-fds") ?? 0) + listen.count;
  if (count < 0 || count > most)
    throw new GantryError("invalid", `--preserve-fds: ${count} is not a number from 0 to ${most}`);
  for (let fd = 3; fd < 3 + count; fd++) assertOpen(fd);
  return { count, env: listen.env };
}

/**
 * As our own environment tells. With another's LISTEN_PID it speaks of that process's sockets: what lies at these numbers
 * here is something else.
 */
function listenFds(): PassedFds {
  const pid = envOf("LISTEN_PID");
  const count = pid === undefined || pid === String(host.pid()) ? Number(envOf("LISTEN_FDS") ?? 0) : 0;
  if (!Number.isInteger(count) || count <= 0 || count > most) return { count: 0, env: [] };
  const names = envOf("LISTEN_FDNAMES");
  return {
    count,
    env: [`LISTEN_FDS=${count}`, "LISTEN_PID=1", ...(names === undefined ? [] : [`LISTEN_FDNAMES=${names}`])],
  };
}

function assertOpen(fd: number): void {
  try {
    host.fstat(fd);
  } catch (error) {
    throw new GantryError("invalid", `--preserve-fds: file descriptor ${fd} is not open`, { cause: error });
  }
}

export function withEnv(config: OciConfig, env: readonly string[]): OciConfig {
  const { process } = config;
  if (process === undefined || env.length === 0) return config;
  return { ...config, process: { ...process, env: [...(process.env ?? []), ...env] } };
}
