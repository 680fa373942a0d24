/** From a container's record to its OCI config (runtime-spec config.md). Pure: everything that was looked up is handed in. */
import { capabilityNames, defaultCapabilities, defaultMaskedPaths, defaultMounts, defaultReadonlyPaths, defaultSeccompProfile } from "../runtime/index.ts";
import type { OciConfig, OciMount, OciProcess } from "../runtime/index.ts";
import { GantryError } from "../lib/index.ts";
import type { ContainerRecord, HostConfig } from "./container.ts";
import { cpuLimits } from "./cpu-limits.ts";
import { networkKind } from "./network-mode.ts";
import { toRlimit } from "./ulimits.ts";
