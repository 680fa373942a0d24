/** A seccomp profile as the OCI runtime-spec spells it (config-linux.md, "Seccomp"; 64 bit values also as bigint). */

export type SeccompAction =
  | "SCMP_ACT_KILL"
  | "SCMP_ACT_KILL_PROCESS"
  | "SCMP_ACT_KILL_THREAD"
  | "SCMP_ACT_TRAP"
  | "SCMP_ACT_ERRNO"
  | "SCMP_ACT_TRACE"
  | "SCMP_ACT_ALLOW"
  | "SCMP_ACT_LOG"
  | "SCMP_ACT_NOTIFY";

export type SeccompOperator =
  | "SCMP_CMP_NE"
  | "SCMP_CMP_LT"
  | "SCMP_CMP_LE"
  | "SCMP_CMP_EQ"
  | "SCMP_CMP_GE"
  | "SCMP_CMP_GT"
  | "SCMP_CMP_MASKED_EQ";

export interface SeccompArgument {
  /** 0 to 5. */
  readonly index: number;
  /** For MASKED_EQ the mask. */
  readonly value: number | bigint;
  /** For MASKED_EQ what the masked argument must be; absent 0. */
  readonly valueTwo?: number | bigint;
  readonly op: SeccompOperator;
}

export interface SeccompRule {
  readonly names: readonly string[];
  readonly action: SeccompAction;
  readonly errnoRet?: number;
  /** All must hold; if an index occurs twice, each is a rule of its own (as runc does). */
  readonly args?: readonly SeccompArgument[];
}

export interface SeccompProfile {
  readonly defaultAction: SeccompAction;
  readonly defaultErrnoRet?: number;
  /** SCMP_ARCH_*: architectures besides the native one whose calls are let through the rules. */
  readonly architectures?: readonly string[];
  /** SECCOMP_FILTER_FLAG_*; absent: SPEC_ALLOW, as runc does. */
  readonly flags?: readonly string[];
  readonly listenerPath?: string;
  readonly listenerMetadata?: string;
  readonly syscalls?: readonly SeccompRule[];
}
