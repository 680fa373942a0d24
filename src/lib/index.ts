/** lib: small things with no domain. */
export { Database, type Row, type SqlValue } from "./database.ts";
export {
  type Digest,
  digestAlgorithm,
  digestHex,
  digestLike,
  isDigest,
  parseDigest,
  sha256,
} from "./digest.ts";
export {
  type ErrorCode,
  type ErrorDetails,
  GantryError,
  isErrno,
  messageOf,
  toGantryError,
} from "./errors.ts";
export { linkTarget, namesIn, tryStat } from "./file-names.ts";
export { newId, shortId } from "./id.ts";
export { Interrupt } from "./interrupt.ts";
export { LineWriter } from "./log-sink.ts";
export { createLogger, type LeveledLogger, type LogFields, type Logger, type LogLevel } from "./log.ts";
export { isCompiled, selfCommand } from "./self.ts";
export { type TarEntry, type TarEntryInput, type TarEvent, type TarType } from "./tar-entry.ts";
export { decodeName, encodeName, fsName } from "./tar-name.ts";
export { type TarLimits, TarReader } from "./tar-reader.ts";
export { tarHeader, tarPadding, tarTrailer } from "./tar-writer.ts";
