/** Environments as image configurations have them: lists of `NAME=value`. Pure. */

/** What a process gets as PATH when an image says nothing (docker's default on Linux). */
export const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** The name of one `NAME=value`. */
export function envName(item: string): string {
  const equals = item.indexOf("=");
  return equals < 0 ? item : item.slice(0, equals);
}

/** As a map; of several items with one name the last counts. */
export function envMap(list: readonly string[]): ReadonlyMap<string, string> {
  return new Map(list.map((item) => [envName(item), item.slice(envName(item).length + 1)]));
}

/** The list with `name` set: in its place if it is there, else at the end. */
export function withEnv(list: readonly string[], name: string, value: string): readonly string[] {
  const item = `${name}=${value}`;
  const at = list.findIndex((old) => envName(old) === name);
  return at < 0 ? [...list, item] : list.with(at, item);
}

/** The list with a PATH. */
export function withDefaultPath(list: readonly string[]): readonly string[] {
  return list.some((item) => envName(item) === "PATH") ? list : [...list, `PATH=${defaultPath}`];
}
