/** What a registry answers when it does not do as it is told (distribution-spec, "Error Codes"), as an error of ours. */
import { type ErrorCode, GantryError } from "../lib/index.ts";
import { printable } from "./printable.ts";
import { retryAfterMs } from "./retry.ts";
import type { HttpAnswer } from "./transport.ts";

const maxErrorBytes = 64 << 10;

const codes: Readonly<Record<number, ErrorCode>> = {
  400: "invalid",
  401: "denied",
  403: "denied",
  404: "not-found",
  405: "unsupported",
  408: "timeout",
  409: "conflict",
  413: "exhausted",
  416: "invalid",
  429: "exhausted",
  501: "unsupported",
  507: "exhausted",
};

/** What registries say with these statuses: answers to HEAD have no body to say it. */
const usualWords: Readonly<Record<number, string>> = {
  401: "unauthorized: authentication required",
  403: "denied: requested access to the resource is denied",
  404: "not found",
  413: "the registry, or a proxy before it, takes no request of this size",
  429: "too many requests",
};

/**
 * Reads the answer's body and makes the error; docker's clients print `code text: message` of the first error.
 * The fields tell `status` and `registryCode`.
 */
export async function registryError(answer: HttpAnswer, doing: string): Promise<GantryError> {
  let text = "";
  try {
    text = new TextDecoder().decode(await answer.bytes(maxErrorBytes));
  } catch {
    // An endless or broken answer: its status is all that is told.
  }
  const first = firstError(text);
  const code = codes[answer.status] ?? "unavailable";
  const retryAfter = retryAfterMs(answer.headers.get("retry-after"), Date.now());
  const page = plain(text);
  const usual = page === "" ? usualWords[answer.status] : undefined;
  const said = first?.words ?? usual ?? `${answer.status} ${page}`.trim();
  return new GantryError(code, `${doing}: ${said}`, {
    fields: {
      status: answer.status,
      host: answer.url.host,
      registryCode: first?.code ?? "",
      said,
      ...(retryAfter === undefined ? {} : { retryAfterMs: retryAfter }),
    },
    ...(code === "denied" ? { hint: `log in first: gantry login ${answer.url.host}` } : {}),
    ...(answer.status === 429 ? { hint: "the registry wants fewer requests: wait, or log in" } : {}),
  });
}

interface FirstError {
  readonly code: string;
  readonly words: string;
}

function firstError(text: string): FirstError | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // SyntaxError: a proxy's page, not a registry's words.
    return undefined;
  }
  if (typeof value !== "object" || value === null) return undefined;
  if ("errors" in value && Array.isArray(value.errors)) {
    const error: unknown = value.errors[0];
    if (typeof error !== "object" || error === null) return undefined;
    const code = "code" in error ? printable(String(error.code)) : "";
    const message = "message" in error ? printable(String(error.message)) : "";
    const words = code.toLowerCase().replaceAll("_", " ");
    return { code, words: message === "" ? words : `${words}: ${message}` };
  }
  // Token servers and docker.io's older parts.
  const details = "details" in value ? value.details : "message" in value ? value.message : undefined;
  return typeof details === "string" ? { code: "", words: printable(details) } : undefined;
}

function plain(text: string): string {
  return /^\s*</.test(text) ? "" : printable(text.trim());
}
