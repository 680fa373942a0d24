/** The environment of a program as runc makes it: of several values of one variable the last, and HOME never empty. Pure. */

export function cleanEnvironment(env: readonly string[]): readonly string[] {
  const last = new Map<string, string>();
  for (const entry of env) last.set(nameOf(entry), entry);
  return Array.from(last.values()).filter((entry) => entry !== "HOME=");
}

/** HOME must be looked up. */
export function lacksHome(env: readonly string[]): boolean {
  return !env.some((entry) => entry.startsWith("HOME="));
}

function nameOf(entry: string): string {
  const sign = entry.indexOf("=");
  return sign < 0 ? entry : entry.slice(0, sign);
}
