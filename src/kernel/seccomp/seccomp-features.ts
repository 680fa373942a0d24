/** Which parts of the specification's seccomp profiles are understood, for the `features` document. */
import { seccompActionNames } from "./actions.ts";
import { seccompArchitectures } from "./architectures.ts";
import { seccompFlagNames } from "./compile-seccomp.ts";
import type { SeccompOperator } from "./profile.ts";

/** One entry an operator: the compiler sees to it that none is missing. */
const operators: Readonly<Record<SeccompOperator, true>> = {
  SCMP_CMP_EQ: true,
  SCMP_CMP_GE: true,
  SCMP_CMP_GT: true,
  SCMP_CMP_LE: true,
  SCMP_CMP_LT: true,
  SCMP_CMP_MASKED_EQ: true,
  SCMP_CMP_NE: true,
};

/** Each list sorted. */
export const seccompFeatures = {
  actions: [...seccompActionNames].sort(),
  operators: Object.keys(operators).sort(),
  archs: Object.keys(seccompArchitectures).sort(),
  flags: [...seccompFlagNames].sort(),
} as const;
