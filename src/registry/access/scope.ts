/**
 * Scopes of Docker's token flow as text: `repository:team/app:pull,push`. What is not well formed is no scope and grants
 * nothing; it is never repaired.
 */
import { isRepositoryName } from "../names.ts";
import type { Action, Scope } from "../types.ts";

/** More scopes than a client of good will asks for at once (a mount asks for two). */
const maxScopes = 32;
const maxScopeChars = 400;

const actions: readonly string[] = ["pull", "push", "delete", "*"];

/** One scope; undefined when the text is none. */
export function parseScope(text: string): Scope | undefined {
  if (text.length > maxScopeChars) return undefined;
  const first = text.indexOf(":");
  const last = text.lastIndexOf(":");
  if (first <= 0 || last <= first) return undefined;
  // Distribution allows a class: `repository(plugin):name`.
  const type = text.slice(0, first).replace(/\([a-z0-9]+\)$/, "");
  const name = text.slice(first + 1, last);
  const wanted = text.slice(last + 1).split(",");
  if (!wanted.every(isAction)) return undefined;
  if (type === "registry") return name === "catalog" ? { type, name, actions: wanted } : undefined;
  if (type !== "repository" || !isRepositoryName(name)) return undefined;
  return { type, name, actions: wanted };
}

function isAction(text: string): text is Action | "*" {
  return actions.includes(text);
}

/** The scopes of several `scope` parameters, each of which may hold several, parted by spaces (RFC 6749, 3.3). */
export function parseScopes(parameters: readonly string[]): readonly Scope[] {
  const words = parameters.flatMap((text) => text.slice(0, maxScopes * maxScopeChars).split(" "));
  return words
    .filter((word) => word !== "")
    .slice(0, maxScopes)
    .flatMap((word) => parseScope(word) ?? []);
}

export function printScope({ type, name, actions: wanted }: Scope): string {
  return `${type}:${name}:${wanted.join(",")}`;
}
