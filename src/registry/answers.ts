/** Answers as clients expect them. */
import type { RegistryError } from "./errors.ts";

const always = { "Docker-Distribution-API-Version": "registry/2.0" } as const;

type Headers = Readonly<Record<string, string>>;

export function empty(status: number, headers: Headers = {}): Response {
  return new Response(null, { status, headers: { ...always, ...headers } });
}

export function json(body: unknown, headers: Headers = {}): Response {
  return new Response(JSON.stringify(body), {
    headers: { ...always, "Content-Type": "application/json", ...headers },
  });
}

/** @param length also told where no body goes out, as to HEAD */
export function content(
  status: number,
  body: Blob | ReadableStream<Uint8Array> | Uint8Array<ArrayBuffer> | null,
  length: number,
  headers: Headers,
): Response {
  return new Response(body, { status, headers: { ...always, "Content-Length": String(length), ...headers } });
}

export function refusal(error: RegistryError): Response {
  const { code, message, detail } = error;
  return new Response(
    JSON.stringify({ errors: [{ code, message, ...(detail === undefined ? {} : { detail }) }] }),
    {
      status: error.status,
      headers: { ...always, "Content-Type": "application/json", ...error.headers },
    },
  );
}

/** RFC 5988: the same list, from behind `last` on. */
export function nextPage(path: string, parameters: Readonly<Record<string, string>>): Headers {
  return { Link: `<${path}?${new URLSearchParams(parameters)}>; rel="next"` };
}
