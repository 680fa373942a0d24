/** OCI actions as values that a filter returns. @see seccomp(2), linux/seccomp.h */
import { GantryError } from "../../lib/index.ts";

const EPERM = 1;
export const ENOSYS = 38;
const dataMask = 0xffff;

/** Which actions carry a number (an errno, or data for the tracer). */
const actions: Readonly<Record<string, { readonly value: number; readonly hasData?: boolean }>> = {
  SCMP_ACT_KILL: { value: 0 },
  SCMP_ACT_KILL_THREAD: { value: 0 },
  SCMP_ACT_KILL_PROCESS: { value: 0x80000000 },
  SCMP_ACT_TRAP: { value: 0x00030000 },
  SCMP_ACT_ERRNO: { value: 0x00050000, hasData: true },
  SCMP_ACT_NOTIFY: { value: 0x7fc00000 },
  SCMP_ACT_TRACE: { value: 0x7ff00000, hasData: true },
  SCMP_ACT_LOG: { value: 0x7ffc0000 },
  SCMP_ACT_ALLOW: { value: 0x7fff0000 },
};

export const killProcess = 0x80000000;

/** @throws {GantryError} "invalid" for an action that is none, or an errno above 65535 */
export function actionValue(action: string, errno = EPERM): number {
  const known = actions[action];
  if (known === undefined)
    throw new GantryError("invalid", `linux.seccomp: unknown action ${JSON.stringify(action)}`);
  if (known.hasData !== true) return known.value;
  if (!Number.isInteger(errno) || errno < 0 || errno > dataMask) {
    throw new GantryError("invalid", `linux.seccomp: errnoRet ${errno} is not between 0 and ${dataMask}`);
  }
  return (known.value | errno) >>> 0;
}

const [trace, log, allow] = [0x7ff00000, 0x7ffc0000, 0x7fff0000];
const notify = 0x7fc00000;

/** Does the call go on, perhaps with somebody watching? */
export function mayPass(value: number): boolean {
  const kind = (value & 0x7fff0000) >>> 0;
  return value < killProcess && (kind === notify || kind === trace || kind === log || kind === allow);
}

export const seccompActionNames: readonly string[] = Object.keys(actions);
