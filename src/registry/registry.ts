/** What the routes work on. */
import type { Logger } from "../lib/index.ts";
import type { BlobStore } from "./blob-store.ts";
import type { Exchange } from "./exchange.ts";
import type { Metadata } from "./metadata.ts";
import type {
  AccessControl,
  CommitStep,
  Guard,
  Journal,
  Listener,
  RegistryEvent,
  Scope,
  Upstream,
} from "./types.ts";

export interface RegistryLimits {
  readonly maxBlobBytes: number;
  readonly maxManifestBytes: number;
  /** An upload that nobody goes on with ends. */
  readonly uploadTtlMs: number;
  /** Uploads that may be open at once: each has a row and a file. */
  readonly maxUploads: number;
  readonly maxUploadsOfRepository: number;
  /** How seldom it is noted that a blob or manifest was asked for: removal waits longer than this. */
  readonly touchMs: number;
}

export const defaultLimits: RegistryLimits = {
  maxBlobBytes: 1024 ** 4,
  maxManifestBytes: 4 << 20,
  uploadTtlMs: 24 * 3_600_000,
  maxUploads: 5000,
  maxUploadsOfRepository: 1000,
  touchMs: 60_000,
};

export interface Registry {
  readonly blobs: BlobStore;
  readonly metadata: Metadata;
  readonly access: AccessControl | undefined;
  readonly guards: readonly Guard[];
  readonly listeners: readonly Listener[];
  readonly journal: Journal | undefined;
  readonly upstreams: readonly Upstream[];
  readonly limits: RegistryLimits;
  /** False: an index may only name manifests that are here. */
  readonly allowSparse: boolean;
  readonly allowDelete: boolean;
  readonly logger: Logger;
  readonly now: () => number;
}

/** Asks each guard that has the rule. @returns what they want to see again inside the transaction */
export async function guard(
  { guards }: Registry,
  rule: (one: Guard) => ReturnType<NonNullable<Guard["putManifest"]>>,
): Promise<readonly CommitStep[]> {
  const steps: CommitStep[] = [];
  for (const one of guards) {
    const asked = rule(one);
    if (asked === undefined) continue;
    const step = await asked;
    if (step !== undefined) steps.push(step);
  }
  return steps;
}

export function tell(
  registry: Registry,
  exchange: Exchange,
  action: RegistryEvent["action"],
  target: RegistryEvent["target"],
): void {
  if (registry.listeners.length === 0) return;
  const event = exchange.event(action, target, registry.now());
  for (const listener of registry.listeners) listener(event);
}

export async function mayAlso(registry: Registry, exchange: Exchange, scope: Scope): Promise<boolean> {
  return registry.access === undefined || registry.access.mayAlso(exchange.request, scope);
}
