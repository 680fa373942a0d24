/** The process of a config.json (runtime-spec config.md, "Process"). Pure. */
import {
  absolutePath,
  all,
  boolean,
  type Checked,
  findTwice,
  integer,
  listOf,
  matching,
  numberList,
  object,
  oneOf,
  type Rule,
  text,
  uint16,
  uint64,
} from "./config-checks.ts";
import type { OciProcess } from "./oci-types.ts";
import { rlimitNames } from "./step-phrase.ts";
import { validatePart } from "./validate-part.ts";

/** (uid_t) -1 means "no change" to the kernel. */
export const id: Rule = integer(0, 0xffff_fffe);

const user = object({
  uid: id,
  gid: id,
  umask: integer(0, 0o777),
  additionalGids: listOf(id),
});

// A name that the kernel does not know is left out with a warning (config.md, "capabilities").
const capabilities = listOf(text);

const rlimit = object(
  // -1 is what Go programs write for no limit.
  { type: oneOf(rlimitNames), soft: integer(-1, 2 ** 64), hard: integer(-1, 2 ** 64) },
  ["type", "soft", "hard"],
  (at) => {
    const soft = unlimited(at.field("soft").number);
    const hard = unlimited(at.field("hard").number);
    if (soft !== undefined && hard !== undefined && soft > hard)
      at.field("soft").found("must not be above the hard limit");
  },
);

function unlimited(value: number | undefined): number | undefined {
  return value === -1 ? 2 ** 64 : value;
}

const realTime = ["SCHED_FIFO", "SCHED_RR"];
const ordinary = ["SCHED_OTHER", "SCHED_BATCH"];
const deadlineFields = ["runtime", "deadline", "period"];

const scheduler = object(
  {
    policy: oneOf([...ordinary, ...realTime, "SCHED_ISO", "SCHED_IDLE", "SCHED_DEADLINE"]),
    nice: integer(-20, 19),
    priority: integer(0, 99),
    flags: listOf(
      oneOf([
        "SCHED_FLAG_RESET_ON_FORK",
        "SCHED_FLAG_RECLAIM",
        "SCHED_FLAG_DL_OVERRUN",
        "SCHED_FLAG_KEEP_POLICY",
        "SCHED_FLAG_KEEP_PARAMS",
        "SCHED_FLAG_UTIL_CLAMP_MIN",
        "SCHED_FLAG_UTIL_CLAMP_MAX",
      ]),
    ),
    runtime: uint64,
    deadline: uint64,
    period: uint64,
  },
  ["policy"],
  checkPolicy,
);

/** sched_setattr(2) refuses the rest, or ignores it silently. */
function checkPolicy(at: Checked): void {
  const policy = at.field("policy").text;
  const isSet = (name: string): boolean => (at.field(name).number ?? 0) !== 0;
  if (realTime.includes(policy) && !isSet("priority"))
    at.field("priority").found(`must be from 1 to 99 for ${policy}`);
  if (!realTime.includes(policy) && isSet("priority"))
    at.field("priority").found("is for the policies SCHED_FIFO and SCHED_RR only");
  if (policy !== "SCHED_DEADLINE") {
    for (const name of deadlineFields)
      if (isSet(name)) at.field(name).found("is for the policy SCHED_DEADLINE only");
    return;
  }
  const runtime = at.field("runtime").number ?? 0;
  const deadline = at.field("deadline").number ?? 0;
  const period = at.field("period").number ?? 0;
  if (runtime === 0) at.field("runtime").found("is required for SCHED_DEADLINE");
  if (runtime > deadline) at.field("runtime").found("must not be above the deadline");
  if (period !== 0 && deadline > period) at.field("deadline").found("must not be above the period");
}

export const process: Rule = object(
  {
    cwd: absolutePath,
    terminal: boolean,
    consoleSize: object({ height: uint16, width: uint16 }, ["height", "width"]),
    args: all(listOf(text, "must name a program"), (at) => {
      const [first] = at.items;
      return first?.value !== "" || first.found("must not be empty");
    }),
    env: listOf(matching(/^[^=]+=/, "of the form NAME=VALUE")),
    user,
    capabilities: object({
      bounding: capabilities,
      effective: capabilities,
      permitted: capabilities,
      inheritable: capabilities,
      ambient: capabilities,
    }),
    rlimits: all(listOf(rlimit), (at) => {
      findTwice(at, "type");
      return true;
    }),
    noNewPrivileges: boolean,
    apparmorProfile: text,
    selinuxLabel: text,
    oomScoreAdj: integer(-1000, 1000),
    scheduler,
    ioPriority: object(
      {
        class: oneOf(["IOPRIO_CLASS_RT", "IOPRIO_CLASS_BE", "IOPRIO_CLASS_IDLE"]),
        priority: integer(0, 7),
      },
      ["class"],
    ),
    execCPUAffinity: object({ initial: numberList, final: numberList }),
  },
  ["cwd", "args"],
);

/** As validateConfig, for a process alone (`exec --process`). */
export function validateProcess(value: unknown): OciProcess {
  return validatePart(value, "process", process) as OciProcess;
}
