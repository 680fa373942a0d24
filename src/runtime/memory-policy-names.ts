/** The memory policies of runtime-spec 1.3 (config-linux.md, "Memory policy"); set_mempolicy(2). Each list sorted. */
export const memoryPolicyModes: readonly string[] = [
  "MPOL_BIND",
  "MPOL_DEFAULT",
  "MPOL_INTERLEAVE",
  "MPOL_LOCAL",
  "MPOL_PREFERRED",
  "MPOL_PREFERRED_MANY",
  "MPOL_WEIGHTED_INTERLEAVE",
];

export const memoryPolicyFlags: readonly string[] = [
  "MPOL_F_NUMA_BALANCING",
  "MPOL_F_RELATIVE_NODES",
  "MPOL_F_STATIC_NODES",
];
