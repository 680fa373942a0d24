/** What an account may do, decided from data. Pure. */
import type { Action, Identity, Scope } from "../types.ts";
import { matchesPattern } from "./pattern.ts";

export interface Right {
  readonly pattern: string;
  readonly actions: readonly Action[];
}

export interface Account {
  readonly name: string;
  readonly kind: "user" | "robot";
  readonly admin: boolean;
  /** A PHC string of argon2id, or `sha256:…` of a robot's long random secret. */
  readonly secret: string;
  readonly createdMs: number;
  readonly expiresMs: number | undefined;
  readonly disabled: boolean;
  /** Tokens carry it: a new password, a disabling and the like make it another. */
  readonly epoch: number;
  readonly rights: readonly Right[];
}

export const nobody: Identity = { name: undefined, kind: "anonymous" };

export const allActions: readonly Action[] = ["pull", "push", "delete"];

/** True while the account may be used at all. */
export function isUsable(account: Account, nowMs: number): boolean {
  return !account.disabled && (account.expiresMs === undefined || nowMs < account.expiresMs);
}

/**
 * The part of a scope that is granted, in the scope's own words; undefined: nothing of it.
 * @param account undefined: nobody has logged in
 */
export function grant(
  account: Account | undefined,
  publicPatterns: readonly string[],
  scope: Scope,
): Scope | undefined {
  if (scope.type === "registry") return account?.admin === true ? scope : undefined;
  const held = heldActions(account, publicPatterns, scope.name);
  // Whoever holds all gets the star as it was asked for; else what it stands for is granted piece by piece.
  const wanted = new Set<Action | "*">(scope.actions);
  if (wanted.has("*")) {
    for (const action of allActions) wanted.add(action);
    if (held.length < allActions.length) wanted.delete("*");
  }
  const actions = [...wanted].filter((action) => action === "*" || held.includes(action));
  return actions.length === 0 ? undefined : { ...scope, actions };
}

function heldActions(
  account: Account | undefined,
  publicPatterns: readonly string[],
  repository: string,
): readonly Action[] {
  if (account?.admin === true) return allActions;
  const held = new Set<Action>();
  if (publicPatterns.some((pattern) => matchesPattern(pattern, repository))) held.add("pull");
  for (const right of account?.rights ?? []) {
    if (!matchesPattern(right.pattern, repository)) continue;
    for (const action of right.actions) held.add(action);
  }
  return allActions.filter((action) => held.has(action));
}

/** True when `granted` covers all that `wanted` asks. */
export function covers(granted: readonly Scope[], wanted: Scope): boolean {
  const same = granted.filter((one) => one.type === wanted.type && one.name === wanted.name);
  return wanted.actions.every((action) => same.some((one) => one.actions.includes(action)));
}
