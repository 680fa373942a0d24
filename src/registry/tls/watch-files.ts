/** Tells when files may have changed, even when they are replaced by renaming or by a link that turns elsewhere. */
import { type FSWatcher, watch } from "node:fs";
import { dirname } from "node:path";
import { type Logger, messageOf } from "../../lib/index.ts";

/** Certificate and key are written one after the other. */
const settleMs = 500;

/** @returns ends the watching */
export function watchFiles(paths: readonly string[], logger: Logger, changed: () => void): () => void {
  let timer: NodeJS.Timeout | undefined;
  const later = (): void => {
    clearTimeout(timer);
    timer = setTimeout(changed, settleMs);
    timer.unref();
  };
  const watchers = [...new Set(paths.map((path) => dirname(path)))].flatMap((directory): FSWatcher[] => {
    try {
      return [watch(directory, { persistent: false }, later)];
    } catch (error) {
      // ENOSPC: no inotify watch is left. SIGHUP still works.
      logger.warn("tls.not-watched", { directory, message: messageOf(error) });
      return [];
    }
  });
  return () => {
    clearTimeout(timer);
    for (const watcher of watchers) watcher.close();
  };
}
