/** Structured logging: one JSON line an event on stderr. Event names are `noun.verb`, facts are fields. */
import { stderrSink } from "./log-sink.ts";

export type LogFields = Readonly<Record<string, string | number | boolean | undefined>>;
export type LogLevel = "debug" | "info" | "warn" | "error";

const order: Readonly<Record<LogLevel, number>> = { debug: 0, info: 1, warn: 2, error: 3 };

export interface Logger {
  debug(event: string, fields?: LogFields): void;
  info(event: string, fields?: LogFields): void;
  warn(event: string, fields?: LogFields): void;
  error(event: string, fields?: LogFields): void;
}

/** A logger whose level can change while it is used. */
export interface LeveledLogger extends Logger {
  level: LogLevel;
}

/** A logger that writes lines of at least `level` to `write`. */
export function createLogger(level: LogLevel, write: (line: string) => void = stderrSink): LeveledLogger {
  const emit =
    (at: LogLevel) =>
    (event: string, fields: LogFields = {}) => {
      if (order[at] < order[logger.level]) return;
      write(`${JSON.stringify({ time: new Date().toISOString(), level: at, event, ...fields })}\n`);
    };
  const logger = {
    level,
    debug: emit("debug"),
    info: emit("info"),
    warn: emit("warn"),
    error: emit("error"),
  };
  return logger;
}
