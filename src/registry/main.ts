/** gantry registry serve: from settings to the exit code. */
import { createLogger, messageOf } from "../lib/index.ts";
import { type CommandSettings, resolveSettings } from "./config/resolved.ts";
import { RegistryProcess } from "./serve/registry-process.ts";
import { lockRoot } from "./serve/root-lock.ts";

/** Runs until SIGTERM or SIGINT. @throws {GantryError} when it cannot start */
export async function serveRegistry(command: CommandSettings): Promise<number> {
  const settings = resolveSettings(command);
  const logger = createLogger(settings.bool("debug") ? "debug" : "info");
  process.umask(0o027);
  const unlock = lockRoot(settings.text("root"));
  const ended = new Promise<string>((resolve) => {
    for (const signal of ["SIGTERM", "SIGINT"] as const) process.on(signal, () => resolve(signal));
  });
  for (const event of ["uncaughtException", "unhandledRejection"] as const) {
    // A bug in one request must not take the registry away from the others.
    process.on(event, (thrown: unknown) =>
      logger.error("registry.bug", {
        message: messageOf(thrown),
        stack: thrown instanceof Error ? thrown.stack : undefined,
      }),
    );
  }
  using held = new DisposableStack();
  held.defer(unlock);
  await using registry = await RegistryProcess.open(command, settings, logger);
  process.on("SIGHUP", () => registry.reload());
  logger.info("registry.ready", { address: registry.address, root: settings.text("root"), pid: process.pid });
  process.stdout.write(`${registry.welcome}ready\n`);
  logger.info("registry.stopping", { why: await ended });
  return 0;
}
