/** What the doctor says of one thing, and the eyes with which it looks. */
import { existsSync, readFileSync, readdirSync } from "node:fs";

export interface Finding {
  readonly level: "OK" | "WARN" | "FAIL";
  readonly area: string;
  readonly message: string;
  /** What the user can do. */
  readonly fix?: string;
}

/** The machine as files and programs show it; tests give another one. */
export interface Eyes {
  /** The text of a file; undefined when it cannot be read. */
  readonly read: (path: string) => string | undefined;
  readonly has: (path: string) => boolean;
  readonly names: (path: string) => readonly string[];
  /** What a program prints; undefined when there is none or it fails. */
  readonly say: (...words: readonly string[]) => string | undefined;
}

export const eyes: Eyes = {
  read: (path) => orUndefined(() => readFileSync(path, "utf8")),
  has: existsSync,
  names: (path) => orUndefined(() => readdirSync(path)) ?? [],
  say: (...words) =>
    orUndefined(() => {
      const done = Bun.spawnSync([...words], { stdout: "pipe", stderr: "ignore", timeout: 5000 });
      return done.exitCode === 0 ? done.stdout.toString() : undefined;
    }),
};

function orUndefined<T>(look: () => T): T | undefined {
  try {
    return look();
  } catch {
    // ENOENT, EACCES: to be seen or not, that is what is asked.
    return undefined;
  }
}

export const ok = (area: string, message: string): Finding => ({ level: "OK", area, message });
export const warn = (area: string, message: string, fix: string): Finding => ({
  level: "WARN",
  area,
  message,
  fix,
});
export const fail = (area: string, message: string, fix: string): Finding => ({
  level: "FAIL",
  area,
  message,
  fix,
});
