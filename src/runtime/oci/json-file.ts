/** Files of JSON that the caller names. */
import { GantryError, isErrno, messageOf, toGantryError } from "../../lib/index.ts";

const maxBytes = 8 << 20;

/** A file of JSON. @throws {GantryError} "not-found", "invalid" when it is too large or no JSON */
export function readJson(file: string): unknown {
  let text: string;
  try {
    text = host.readFile(file, maxBytes);
  } catch (error) {
    if (isErrno(error, "EFBIG"))
      throw new GantryError("invalid", `${file} is larger than ${maxBytes} bytes`, { cause: error });
    throw toGantryError(error, `read ${file}`);
  }
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new GantryError("invalid", `${file} is not valid JSON: ${messageOf(error)}`, { cause: error });
  }
}
