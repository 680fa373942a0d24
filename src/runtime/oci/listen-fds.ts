/** systemd's socket activation: the sockets go on to the container (sd_listen_fds(3)). */
import type { OciConfig } from "../oci-types.ts";
import { envOf } from "./context.ts";

export interface ListenFds {
  readonly count: number;
  readonly env: readonly string[];
}

/** As our own environment tells; LISTEN_PID is not looked at: what calls us hands its own sockets on. */
export function listenFds(): ListenFds {
  const count = Number(envOf("LISTEN_FDS") ?? 0);
  if (!Number.isInteger(count) || count <= 0 || count > 1024) return { count: 0, env: [] };
  const names = envOf("LISTEN_FDNAMES");
  return {
    count,
    env: [`LISTEN_FDS=${count}`, "LISTEN_PID=1", ...(names === undefined ? [] : [`LISTEN_FDNAMES=${names}`])],
  };
}

export function withEnv(config: OciConfig, env: readonly string[]): OciConfig {
  const { process } = config;
  if (process === undefined || env.length === 0) return config;
  return { ...config, process: { ...process, env: [...(process.env ?? []), ...env] } };
}
