/** The filter of a config.json (runtime-spec config-linux.md, "Seccomp"). Pure. */
import {
  all,
  type Checked,
  filled,
  integer,
  listOf,
  object,
  oneOf,
  type Rule,
  text,
  uint64,
} from "./config-checks.ts";

const withErrno = ["SCMP_ACT_ERRNO", "SCMP_ACT_TRACE"];

const action = oneOf([
  "SCMP_ACT_ALLOW",
  "SCMP_ACT_ERRNO",
  "SCMP_ACT_KILL",
  "SCMP_ACT_KILL_PROCESS",
  "SCMP_ACT_KILL_THREAD",
  "SCMP_ACT_LOG",
  "SCMP_ACT_NOTIFY",
  "SCMP_ACT_TRACE",
  "SCMP_ACT_TRAP",
]);

const architectures = (
  "X86 X86_64 X32 ARM AARCH64 LOONGARCH64 M68K MIPS MIPS64 MIPS64N32 MIPSEL MIPSEL64 MIPSEL64N32 PARISC PARISC64 PPC PPC64 " +
  "PPC64LE RISCV64 S390 S390X SH SHEB"
)
  .split(" ")
  .map((name) => `SCMP_ARCH_${name}`);

const comparisons = ["NE", "LT", "LE", "EQ", "GE", "GT", "MASKED_EQ"].map((name) => `SCMP_CMP_${name}`);

// What a filter can return (SECCOMP_RET_DATA).
const errno = integer(0, 0xffff);

const syscall = object(
  {
    names: listOf(filled, "must name a system call"),
    action,
    errnoRet: errno,
    args: listOf(
      object({ index: integer(0, 5), value: uint64, valueTwo: uint64, op: oneOf(comparisons) }, [
        "index",
        "value",
        "op",
      ]),
    ),
  },
  ["action"],
  (at) => {
    if (at.field("names").isMissing) at.field("names").found("must name a system call");
    checkErrno(at, "action", "errnoRet");
  },
);

/** "When the action doesn't support an errno, the runtime MUST print an error and fail." */
function checkErrno(at: Checked, actionField: string, errnoField: string): void {
  if (!at.field(errnoField).isMissing && !withErrno.includes(at.field(actionField).text))
    at.field(errnoField).found(`is for the actions ${withErrno.join(" and ")} only`);
}

/** The agent at listenerPath is who answers; without one every such call would hang. */
function checkNotify(at: Checked): void {
  const path = at.field("listenerPath");
  const notifies = at
    .field("syscalls")
    .items.some((rule) => rule.field("action").value === "SCMP_ACT_NOTIFY");
  if (notifies && path.text === "") path.found("seccomp listenerPath is not set; SCMP_ACT_NOTIFY needs it");
  if (at.field("listenerMetadata").text !== "" && path.text === "")
    at.field("listenerMetadata").found("needs a listenerPath");
  if (at.field("defaultAction").value === "SCMP_ACT_NOTIFY")
    at.field("defaultAction").found("SCMP_ACT_NOTIFY cannot be used as default action");
}

export const seccomp: Rule = object(
  {
    defaultAction: action,
    defaultErrnoRet: errno,
    architectures: listOf(oneOf(architectures)),
    flags: listOf(
      oneOf([
        "SECCOMP_FILTER_FLAG_TSYNC",
        "SECCOMP_FILTER_FLAG_LOG",
        "SECCOMP_FILTER_FLAG_SPEC_ALLOW",
        "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV",
      ]),
    ),
    listenerPath: all(
      text,
      (at) => at.value === "" || at.text.startsWith("/") || at.found("must be an absolute path"),
    ),
    listenerMetadata: text,
    syscalls: listOf(syscall),
  },
  ["defaultAction"],
  (at) => {
    checkErrno(at, "defaultAction", "defaultErrnoRet");
    checkNotify(at);
  },
);
