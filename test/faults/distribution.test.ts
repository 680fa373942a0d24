/** Registries that stall, cut, lie and lead elsewhere: what a pull, a push and a list make of them. No root. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createHash, randomBytes } from "node:crypto";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import type { Socket } from "node:net";
import {
  copyImage,
  type CopyEvent,
  openTarget,
  parseEndpointName,
  Registries,
} from "../../src/distribution/index.ts";
import { type Descriptor, type ImageTarget, mediaTypes, parseReference } from "../../src/image/index.ts";
import { GantryError, sha256 } from "../../src/lib/index.ts";
import { head, RawServer } from "../lib/raw-http.ts";
import { MemorySource } from "../system/image-source.ts";

const stallMs = 400;
const retries = { tries: 4, firstDelayMs: 10, maxDelayMs: 40, maxRetryAfterMs: 2_000 };
const options = { stallMs, retries, environment: {} };
const registries = new Registries(options);
const blob = randomBytes(700_000);
const descriptor: Descriptor = { mediaType: mediaTypes.ociLayer, digest: sha256(blob), size: blob.length };
let dir: string;

beforeAll(() => {
  dir = mkdtempSync("/tmp/gantry-distribution-");
  const made = Bun.spawnSync([
    ..."openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=test".split(
      " ",
    ),
    "-addext",
    "subjectAltName=IP:127.0.0.1",
    "-keyout",
    `${dir}/key.pem`,
    "-out",
    `${dir}/cert.pem`,
  ]);
  if (made.exitCode !== 0) throw new Error(made.stderr.toString());
});

afterAll(() => rmSync(dir, { recursive: true, force: true }));

async function failure(work: Promise<unknown>): Promise<GantryError> {
  const error: unknown = await work.then(
    () => undefined,
    (e: unknown) => e,
  );
  if (error instanceof GantryError) return error;
  throw new Error("no failure", { cause: error });
}

async function collect(stream: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
}

async function pull(host: string, from = registries): Promise<Buffer> {
  await using source = await from.source(parseReference(`${host}/a/b:c`));
  return collect(source.blob(descriptor));
}

const startOf = (range: string | undefined): number =>
  Number(/^bytes=(\d+)-$/.exec(range ?? "bytes=0-")?.[1]);

/** The blob from where it was asked for, as an honest registry sends it. */
function honest(range: string | undefined, socket: Socket): void {
  const start = startOf(range);
  const length = blob.length - start;
  const partial = { "Content-Range": `bytes ${start}-${blob.length - 1}/${blob.length}` };
  socket.write(head(start === 0 ? 200 : 206, { "Content-Length": length, ...(start === 0 ? {} : partial) }));
  socket.end(blob.subarray(start));
}

/** A registry whose first answers are the given ones; then it is honest. */
function first(
  ...answers: readonly ((socket: Socket, range: string | undefined) => void)[]
): Promise<RawServer> {
  const left = [...answers];
  return RawServer.start(({ headers }, socket) => {
    const answer = left.shift();
    if (answer === undefined) honest(headers["range"], socket);
    else answer(socket, headers["range"]);
  });
}

const ranges = (server: RawServer): readonly (string | undefined)[] =>
  server.requests.map(({ headers }) => headers["range"]);

describe("a blob that is hard to get", () => {
  test("a registry that stalls in the middle is left after a while and asked for the rest", async () => {
    using server = await first((socket) => {
      socket.write(head(200, { "Content-Length": blob.length }));
      socket.write(blob.subarray(0, 300_000));
    });
    const started = performance.now();
    expect(sha256(await pull(server.host))).toBe(descriptor.digest);
    expect(ranges(server)).toEqual([undefined, "bytes=300000-"]);
    expect(performance.now() - started).toBeLessThan(stallMs * 3);
  });

  test("one that never answers is given up", async () => {
    using server = await first(...Array.from({ length: 99 }, () => () => undefined));
    const error = await failure(pull(server.host));
    expect(error.code).toBe("timeout");
    expect(error.message).toContain("has not answered");
    expect(server.requests.length).toBe(retries.tries);
  });

  test("connections that are cut are taken up where they broke, each time", async () => {
    const cut = (bytes: number) => (socket: Socket, range: string | undefined) => {
      const start = startOf(range);
      const rest = blob.length - start;
      const partial = { "Content-Range": `bytes ${start}-${blob.length - 1}/${blob.length}` };
      socket.write(
        head(start === 0 ? 200 : 206, { "Content-Length": rest, ...(start === 0 ? {} : partial) }),
      );
      socket.write(blob.subarray(start, start + bytes));
      // A client may drop what it has not looked at when the end comes with it.
      setTimeout(() => socket.destroy(), 20);
    };
    using server = await first(cut(100_000), cut(1), cut(250_000), cut(50_000), cut(10), cut(20));
    expect(sha256(await pull(server.host))).toBe(descriptor.digest);
    expect(server.requests.length).toBe(7);
  });

  test("a registry that knows no ranges sends it again from the beginning", async () => {
    const whole = (socket: Socket): void => {
      socket.write(head(200, { "Content-Length": blob.length }));
      socket.end(blob);
    };
    using server = await first((socket) => {
      socket.write(head(200, { "Content-Length": blob.length }));
      socket.write(blob.subarray(0, 500_000));
      setTimeout(() => socket.destroy(), 20);
    }, whole);
    expect(sha256(await pull(server.host))).toBe(descriptor.digest);
    expect(ranges(server)).toEqual([undefined, "bytes=500000-"]);
  });

  test.each([
    "bytes 500001-699999/700000",
    "bytes 400000-699999/700001",
    "bytes 9-5/700000",
    "bytes */700000",
    "nonsense",
    "",
  ])("other bytes than those asked for (Content-Range %j) are refused", async (range) => {
    using server = await first(
      (socket) => {
        socket.write(head(200, { "Content-Length": blob.length }));
        socket.write(blob.subarray(0, 500_000));
        setTimeout(() => socket.destroy(), 20);
      },
      (socket) => {
        socket.write(head(206, { "Content-Length": 10, "Content-Range": range }));
        socket.end("0123456789");
      },
    );
    const error = await failure(pull(server.host));
    expect([error.code, /bytes from 500000 of 700000 were asked for/.test(error.message)]).toEqual([
      "corrupt",
      true,
    ]);
    expect(error.message).not.toContain("\u001b");
  });

  test("fewer bytes than its descriptor says", async () => {
    using server = await RawServer.start((_, socket) => {
      socket.write(head(200, { "Content-Length": 1_000 }));
      socket.end(blob.subarray(0, 1_000));
    });
    const error = await failure(pull(server.host));
    expect([error.code, error.message]).toEqual([
      "corrupt",
      expect.stringContaining("it ends after 1000 of 700000 bytes"),
    ]);
  });

  test("more bytes, endless ones among them", async () => {
    using server = await RawServer.start((_, socket) => {
      socket.write(head(200));
      socket.write(blob);
      const feed = (): boolean => {
        while (socket.writable && socket.write(blob));
        return true;
      };
      socket.on("drain", feed);
      feed();
    });
    const error = await failure(pull(server.host));
    expect([error.code, error.message]).toEqual([
      "corrupt",
      expect.stringContaining("more than the 700000 bytes"),
    ]);
  });

  test("wrong bytes leave nothing in a layout", async () => {
    const wrong = randomBytes(blob.length);
    const memory = new MemorySource();
    const { manifest } = memory.image({ tars: [blob], compression: "none" });
    using server = await RawServer.start(({ path }, socket) => {
      const bytes = path.includes("/manifests/")
        ? manifest.bytes
        : path.includes(descriptor.digest)
          ? wrong
          : [...memory.blobs].find(([digest]) => path.includes(digest))?.[1];
      socket.write(head(200, { "Content-Length": bytes?.length ?? 0, "Content-Type": manifest.mediaType }));
      socket.end(bytes ?? "");
    });
    await using source = await registries.source(parseReference(`${server.host}/a/b:c`));
    const { target } = await openTarget(parseEndpointName(`oci:${dir}/wrong`), registries);
    const error = await failure(copyImage({ source, target }));
    await target[Symbol.asyncDispose]();
    expect(error.code).toBe("corrupt");
    const kept = existsSync(`${dir}/wrong/blobs/sha256`) ? readdirSync(`${dir}/wrong/blobs/sha256`) : [];
    for (const name of kept) {
      const bytes = readFileSync(`${dir}/wrong/blobs/sha256/${name}`);
      expect(createHash("sha256").update(bytes).digest("hex")).toBe(name);
    }
  });
});

describe("manifests", () => {
  const { manifest } = new MemorySource().image({ tars: [] });
  const ask = async (
    reference: string,
    answer: (socket: Socket) => void,
  ): Promise<{ error: GantryError; requests: number }> => {
    using server = await RawServer.start((_, socket) => answer(socket));
    await using source = await registries.source(parseReference(`${server.host}/a/b${reference}`));
    return { error: await failure(source.manifest()), requests: server.requests.length };
  };
  const send =
    (body: string | Uint8Array, headers: Record<string, string> = {}) =>
    (socket: Socket) => {
      socket.write(
        head(200, { "Content-Length": body.length, "Content-Type": mediaTypes.ociManifest, ...headers }),
      );
      socket.end(body);
    };

  test.each([
    ["forged behind a digest", `@${sha256("x")}`, send(manifest.bytes), /have digest sha256:\w+, expected/],
    [
      "not what its own header says",
      ":1",
      send(manifest.bytes, { "Docker-Content-Digest": sha256("x") }),
      /have digest sha256:\w+, expected/,
    ],
    [
      "of another type than its bytes",
      ":1",
      send(manifest.bytes, { "Content-Type": mediaTypes.ociIndex }),
      /./,
    ],
    ["a page", ":1", send("<html>\u001b[31m", { "Content-Type": "text/html" }), /./],
    ["empty", ":1", send(""), /./],
    ["a list", ":1", send("[]"), /./],
    ["deep", ":1", send("[".repeat(1_000_000)), /./],
  ])("%s: refused", async (_, reference, answer, message) => {
    const { error } = await ask(reference, answer);
    expect([error.code === "corrupt" || error.code === "invalid", error.message]).toEqual([
      true,
      expect.stringMatching(message),
    ]);
    expect(error.message).not.toContain("\u001b");
  });

  test("4 GiB by its Content-Length, or without end: not read", async () => {
    const before = process.memoryUsage().rss;
    for (const headers of [{ "Content-Length": 4 * 2 ** 30 }, {}]) {
      const { error } = await ask(":1", (socket) => {
        socket.write(head(200, headers));
        const piece = Buffer.alloc(1 << 20, " ");
        const feed = (): void => {
          while (socket.writable && socket.write(piece));
        };
        socket.on("drain", feed);
        feed();
      });
      expect([error.code, error.message]).toEqual([
        "corrupt",
        expect.stringContaining("answered with more than"),
      ]);
    }
    expect(process.memoryUsage().rss - before).toBeLessThan(150 << 20);
  });
});

describe("a registry that is busy or broken", () => {
  const good = new MemorySource().image({ tars: [] }).manifest;
  const serve = (answers: readonly string[]): Promise<RawServer> => {
    const left = [...answers];
    return RawServer.start((_, socket) => {
      const answer = left.length > 1 ? left.shift() : left[0];
      if (answer !== "good") return void socket.end(answer ?? "");
      socket.write(head(200, { "Content-Length": good.bytes.length, "Content-Type": good.mediaType }));
      socket.end(good.bytes);
    });
  };
  const busy = (after: string): string => head(429, { "Content-Length": 0, "Retry-After": after });

  test("502 and 503 pass", async () => {
    using server = await serve([
      head(502, { "Content-Length": 0 }),
      head(503, { "Content-Length": 0 }),
      "good",
    ]);
    await using source = await registries.source(parseReference(`${server.host}/a/b`));
    expect((await source.manifest()).digest).toBe(good.digest);
    expect(server.requests.length).toBe(3);
  });

  test("429 is waited for as long as it says", async () => {
    using server = await serve([busy("1"), "good"]);
    await using source = await registries.source(parseReference(`${server.host}/a/b`));
    const started = performance.now();
    expect((await source.manifest()).digest).toBe(good.digest);
    expect(performance.now() - started).toBeGreaterThan(950);
  });

  test.each([
    ["0", 4],
    ["3600", 1],
    ["Fri, 01 Jan 2100 00:00:00 GMT", 1],
  ])("a storm of 429 with Retry-After %s ends after %d requests", async (after, requests) => {
    using server = await serve([busy(after)]);
    await using source = await registries.source(parseReference(`${server.host}/a/b`));
    const error = await failure(source.manifest());
    expect([error.code, error.hint, server.requests.length]).toEqual([
      "exhausted",
      "the registry wants fewer requests: wait, or log in",
      requests,
    ]);
  });

  test("its words are told, without what would steer the terminal", async () => {
    const body = JSON.stringify({
      errors: [{ code: "DENIED", message: "no\u001b]0;owned\u0007 \u009b2J\r\nway", detail: {} }],
    });
    using server = await serve([head(403, { "Content-Length": Buffer.byteLength(body) }) + body]);
    await using source = await registries.source(parseReference(`${server.host}/a/b`));
    const error = await failure(source.manifest());
    expect([error.code, error.fields["registryCode"]]).toEqual(["denied", "DENIED"]);
    expect(error.message).toContain("denied: no ]0;owned   2J way");
  });

  test("an error's body may be endless", async () => {
    using server = await RawServer.start((_, socket) => {
      socket.write(head(404));
      const feed = (): void => {
        while (socket.writable && socket.write(blob));
      };
      socket.on("drain", feed);
      feed();
    });
    await using source = await registries.source(parseReference(`${server.host}/a/b`));
    expect((await failure(source.manifest())).code).toBe("not-found");
  });
});

const auth = { username: "jo", password: "secret" };
const basic = `Basic ${Buffer.from("jo:secret").toString("base64")}`;

describe("elsewhere", () => {
  test("another host gets no credentials: neither by a redirect nor after its own 401", async () => {
    using other = await RawServer.start((_, socket) => {
      socket.end(head(401, { "Content-Length": 0, "WWW-Authenticate": 'Basic realm="give me"' }));
    });
    using server = await RawServer.start(({ headers }, socket) => {
      const known = headers["authorization"] === basic;
      const way = {
        "Content-Length": 0,
        Location: `http://localhost:${other.host.split(":")[1]}/store/blob?sig=1`,
      };
      socket.end(
        known ? head(307, way) : head(401, { "Content-Length": 0, "WWW-Authenticate": "Basic realm=x" }),
      );
    });
    await using source = await registries.source(parseReference(`${server.host}/a/b:c`), auth);
    const error = await failure(collect(source.blob(descriptor)));
    expect(error.code).toBe("denied");
    expect(other.requests.length).toBeGreaterThan(0);
    for (const { headers } of other.requests)
      expect(Object.keys(headers).filter((name) => /auth|cookie/.test(name))).toEqual([]);
  });

  test("the range travels along with a redirect", async () => {
    using other = await first((socket) => {
      socket.write(head(200, { "Content-Length": blob.length }));
      socket.write(blob.subarray(0, 123_456));
      setTimeout(() => socket.destroy(), 20);
    });
    using server = await RawServer.start((_, socket) => {
      socket.end(head(307, { "Content-Length": 0, Location: `http://${other.host}/x` }));
    });
    expect(sha256(await pull(server.host))).toBe(descriptor.digest);
    expect(ranges(other)).toEqual([undefined, "bytes=123456-"]);
  });

  test("redirects in a circle end; other schemes are not followed", async () => {
    using circle = await RawServer.start(({ path }, socket) => {
      socket.end(head(302, { "Content-Length": 0, Location: path }));
    });
    expect((await failure(pull(circle.host))).message).toContain("redirects more than 10 times");
    using file = await RawServer.start((_, socket) => {
      socket.end(head(302, { "Content-Length": 0, Location: "file:///etc/shadow" }));
    });
    const error = await failure(pull(file.host));
    expect([error.code, error.message]).toEqual(["denied", expect.stringContaining("a file: address")]);
  });

  /** A registry with TLS that is trusted, and that is not loopback in our eyes. */
  const secure = (answer: (request: Request) => Response) => {
    const server = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      tls: { cert: readFileSync(`${dir}/cert.pem`), key: readFileSync(`${dir}/key.pem`) },
      fetch: answer,
    });
    const host = `127.0.0.1:${server.port}`;
    const config = { hosts: { [host]: { insecure: false, ca: `${dir}/cert.pem` } }, insecure: [] };
    return {
      host,
      registries: new Registries({ ...options, config }),
      [Symbol.asyncDispose]: () => server.stop(true),
    };
  };

  test("from TLS to plain text: not followed", async () => {
    using other = await first();
    await using server = secure(
      () => new Response(null, { status: 307, headers: { Location: `http://${other.host}/` } }),
    );
    const error = await failure(pull(server.host, server.registries));
    expect([error.code, error.message]).toEqual([
      "denied",
      expect.stringContaining("redirects from https to http"),
    ]);
    expect(other.requests).toEqual([]);
  });

  test("a token server without TLS gets no password", async () => {
    await using server = secure(
      () =>
        new Response(null, {
          status: 401,
          headers: { "WWW-Authenticate": 'Bearer realm="http://auth.example/token",service="x"' },
        }),
    );
    await using source = await server.registries.source(parseReference(`${server.host}/a/b`), auth);
    const error = await failure(source.manifest());
    expect([error.code, error.message]).toEqual([
      "denied",
      "the registry's token server http://auth.example speaks no TLS: no credentials are sent there",
    ]);
  });

  test("a certificate that nobody vouches for is refused at once, with what to do", async () => {
    let asked = 0;
    await using server = secure(() => new Response(null, { status: asked++ === 0 ? 200 : 200 }));
    const strict = new Registries({
      ...options,
      config: { hosts: { [server.host]: { insecure: false } }, insecure: [] },
    });
    const error = await failure(pull(server.host, strict));
    expect([error.code, asked]).toEqual(["unavailable", 0]);
    expect(error.hint).toContain(`/etc/docker/certs.d/${server.host}/ca.crt`);
  });

  test("an upload that is led elsewhere takes no credentials along", async () => {
    let received = 0;
    const seen: string[][] = [];
    await using other = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      async fetch(request) {
        seen.push([...request.headers.keys()]);
        received += (await request.bytes()).length;
        return new Response(null, { status: request.method === "PUT" ? 201 : 202 });
      },
    });
    await using server = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      fetch(request) {
        if (request.headers.get("authorization") !== basic)
          return new Response(null, { status: 401, headers: { "WWW-Authenticate": "Basic realm=x" } });
        return new Response(null, {
          status: 202,
          headers: { Location: `http://localhost:${other.port}/up` },
        });
      },
    });
    await using target = await registries.target(parseReference(`127.0.0.1:${server.port}/a/b`), auth);
    await target.putBlob(descriptor, {
      open: async function* () {
        yield blob;
      },
    });
    expect(received).toBe(blob.length);
    expect(seen.flat().filter((name) => /auth|cookie/.test(name))).toEqual([]);
  });
});

describe("lists", () => {
  const tagsOf = async (host: string): Promise<readonly string[]> => {
    await using source = await registries.source(parseReference(`${host}/a/b`));
    return source.tags();
  };
  const page = (tags: readonly unknown[], link: string) => (socket: Socket) => {
    const body = JSON.stringify({ name: "a/b", tags });
    socket.end(head(200, { "Content-Length": body.length, Link: link }) + body);
  };

  test("pages that lead in a circle, or to another host", async () => {
    using circle = await RawServer.start(({ path }, socket) => {
      page(["x"], `<${path.includes("p=1") ? "?p=2" : "?p=1"}>; rel="next"`)(socket);
    });
    expect((await failure(tagsOf(circle.host))).message).toContain("the list has no end");
    using other = await first();
    using away = await RawServer.start((_, socket) => {
      page(["x"], `<http://${other.host}/v2/a/b/tags/list>; rel="next"`)(socket);
    });
    expect((await failure(tagsOf(away.host))).code).toBe("denied");
    expect(other.requests).toEqual([]);
  });

  test("what is no tag is left out", async () => {
    using server = await RawServer.start((_, socket) => {
      page(["v1", 7, null, "\u001b[2Jx", "a/../b", "", "x".repeat(200), "v2"], "")(socket);
    });
    expect(await tagsOf(server.host)).toEqual(["v1", "v2"]);
  });

  test.each(["{", "[]", '{"tags":null}', "null", '{"tags":{"x":1}}'])("a page of %s", async (body) => {
    using server = await RawServer.start((_, socket) => {
      socket.end(head(200, { "Content-Length": body.length }) + body);
    });
    if (body === "{") expect((await failure(tagsOf(server.host))).code).toBe("corrupt");
    else expect(await tagsOf(server.host)).toEqual([]);
  });
});

describe("token servers", () => {
  /** Asks for a manifest of a registry whose token server answers so; how often each was asked. */
  const withToken = async (
    answer: (socket: Socket) => void,
    accepts = (token: string): boolean => token === "Bearer good",
  ): Promise<{ error: GantryError | undefined; asked: number; tokens: number }> => {
    using token = await RawServer.start((_, socket) => answer(socket));
    const good = new MemorySource().image({ tars: [] }).manifest;
    using server = await RawServer.start(({ headers }, socket) => {
      if (accepts(headers["authorization"] ?? "")) {
        socket.write(head(200, { "Content-Length": good.bytes.length, "Content-Type": good.mediaType }));
        return void socket.end(good.bytes);
      }
      const realm = `Bearer realm="http://${token.host}/token",service="s"`;
      socket.end(head(401, { "Content-Length": 0, "WWW-Authenticate": realm }));
    });
    await using source = await registries.source(parseReference(`${server.host}/a/b`), auth);
    const error = await source.manifest().then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    if (error !== undefined && !(error instanceof GantryError)) throw error;
    return { error, asked: server.requests.length, tokens: token.requests.length };
  };
  const say =
    (body: string, status = 200) =>
    (socket: Socket) => {
      socket.end(head(status, { "Content-Length": Buffer.byteLength(body) }) + body);
    };

  test.each([
    ['{"token":"good"}'],
    ['{"access_token":"good","expires_in":-5}'],
    ['{"token":"good","expires_in":"soon"}'],
    ['{"token":"good","expires_in":1e308,"issued_at":"never"}'],
  ])("%s will do", async (body) => {
    expect(await withToken(say(body))).toMatchObject({ error: undefined, asked: 2, tokens: 1 });
  });

  test.each([
    ["no token", "{}"],
    ["an empty one", '{"token":""}'],
    ["one with an end of line", '{"token":"good\\r\\nX-Evil: 1"}'],
    ["one beyond ASCII", '{"token":"g\u00f6\u00f6d"}'],
    ["a number", '{"token":7}'],
    ["a list", "[]"],
    ["nothing", ""],
    ["a page", "<html>"],
    ["2 MiB", `{"token":"${"x".repeat(2 << 20)}"}`],
  ])("%s is refused", async (_, body) => {
    const { error, asked } = await withToken(say(body));
    expect([error?.code, asked <= 4]).toEqual([expect.stringMatching(/unavailable|corrupt/), true]);
  });

  test("one that says no is heard, and not asked again", async () => {
    const { error, tokens } = await withToken(say('{"details":"incorrect username or password"}', 401));
    expect([error?.code, tokens]).toEqual(["denied", 1]);
    expect(error?.message).toContain("incorrect username or password");
  });

  test("a registry that takes none of its tokens is not asked for ever", async () => {
    const { error, asked, tokens } = await withToken(say('{"token":"other"}'));
    expect([error?.code, asked, tokens]).toEqual(["denied", 2, 1]);
  });
});

describe("a blob that is hard to push", () => {
  const large = randomBytes(9_000_000);
  const wanted: Descriptor = { mediaType: mediaTypes.ociLayer, digest: sha256(large), size: large.length };

  /** Takes uploads as a registry does; `meddle` answers instead of it, having read as much as it likes. */
  const takes = (
    meddle: (request: Request, turn: number) => Promise<Response | undefined> | Response | undefined,
  ) => {
    let have: Buffer = Buffer.alloc(0);
    let turn = 0;
    let begun = 0;
    const seen: string[] = [];
    const server = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      maxRequestBodySize: 1 << 30,
      async fetch(request) {
        const { method } = request;
        seen.push(`${method} ${request.headers.get("content-range") ?? ""}`.trim());
        if (method === "HEAD") return new Response(null, { status: 404 });
        const instead = await meddle(request, turn++);
        if (instead !== undefined) return instead;
        const headers = {
          Location: `/v2/a/b/blobs/uploads/1?turn=${turn}`,
          Range: `0-${Math.max(0, have.length - 1)}`,
        };
        if (method === "POST") {
          begun++;
          have = Buffer.alloc(0);
          return new Response(null, { status: 202, headers: { Location: headers.Location } });
        }
        if (method === "GET") return new Response(null, { status: 204, headers });
        if (method === "DELETE") return new Response(null, { status: 204 });
        const range = /^(\d+)-/.exec(request.headers.get("content-range") ?? "")?.[1];
        const start = method === "PUT" ? have.length : Number(range ?? 0);
        if (start !== have.length) return new Response(null, { status: 416, headers });
        const bytes = await request.bytes();
        have = Buffer.concat([have, bytes]);
        if (method === "PATCH") return new Response(null, { status: 202, headers });
        const good = sha256(have) === new URL(request.url).searchParams.get("digest");
        return new Response(null, { status: good ? 201 : 400 });
      },
    });
    return {
      server,
      seen,
      get have() {
        return have;
      },
      set have(bytes: Buffer) {
        have = bytes;
      },
      get begun() {
        return begun;
      },
      push: async (bytes: Uint8Array = large) => {
        await using target = await registries.target(parseReference(`127.0.0.1:${server.port}/a/b`));
        await target.putBlob(wanted, {
          open: async function* () {
            for (let at = 0; at < bytes.length; at += 1 << 20) yield bytes.subarray(at, at + (1 << 20));
          },
        });
      },
      [Symbol.asyncDispose]: () => server.stop(true),
    };
  };

  test("an honest registry: one request for all of it", async () => {
    await using registry = takes(() => undefined);
    await registry.push();
    expect(registry.seen).toEqual(["POST", "PATCH", "PUT"]);
    expect(sha256(registry.have)).toBe(wanted.digest);
  });

  test("cut in the middle: asked how far it came, and gone on from there", async () => {
    let cut = false;
    await using registry = takes(async (request) => {
      if (request.method !== "PATCH" || cut) return undefined;
      cut = true;
      // The registry kept 3 MB of it, and answers as a proxy does that has lost it.
      await request.bytes();
      registry.have = Buffer.from(large.subarray(0, 3_000_000));
      return new Response(null, { status: 502 });
    });
    await registry.push();
    expect(registry.seen).toEqual(["POST", "PATCH", "GET", "PATCH 3000000-8999999", "PUT"]);
    expect(sha256(registry.have)).toBe(wanted.digest);
  });

  test("an upload that the registry has forgotten is begun anew", async () => {
    let lost = false;
    await using registry = takes(({ method }) => {
      if (method === "PATCH" && !lost) {
        lost = true;
        return new Response(null, { status: 404 });
      }
      return method === "GET" ? new Response(null, { status: 404 }) : undefined;
    });
    await registry.push();
    expect([registry.begun, sha256(registry.have)]).toEqual([2, wanted.digest]);
  });

  test("a proxy that lets only small requests through gets small ones", async () => {
    await using registry = takes((request) =>
      request.method === "PATCH" && Number(request.headers.get("content-length")) > 5_000_000
        ? new Response(null, { status: 413 })
        : undefined,
    );
    await registry.push();
    expect(sha256(registry.have)).toBe(wanted.digest);
    expect(registry.seen.filter((line) => line.startsWith("PATCH ")).length).toBe(3);
  });

  test("429 in the middle of it", async () => {
    await using registry = takes((_, turn) =>
      turn === 1 || turn === 4
        ? new Response(null, { status: 429, headers: { "Retry-After": "0" } })
        : undefined,
    );
    await registry.push();
    expect(sha256(registry.have)).toBe(wanted.digest);
  });

  test("a registry that breaks each time is given up, and the upload cancelled", async () => {
    await using registry = takes(({ method }) =>
      method === "PATCH" ? new Response(null, { status: 500 }) : undefined,
    );
    const error = await failure(registry.push());
    expect([error.code, error.fields["status"]]).toEqual(["unavailable", 500]);
    expect(registry.seen.filter((line) => line.startsWith("PATCH")).length).toBe(retries.tries);
    expect(registry.seen.at(-1)).toBe("DELETE");
  });

  test("a source with other bytes than it says: the registry is never told that they are all", async () => {
    await using registry = takes(() => undefined);
    const error = await failure(registry.push(randomBytes(large.length)));
    expect([error.code, error.message]).toEqual([
      "corrupt",
      expect.stringContaining("the source has other bytes than its descriptor says"),
    ]);
    expect(registry.seen.some((line) => line.startsWith("PUT"))).toBe(false);
  });

  /** A source that streams its one blob before it says what it has. */
  const streaming = (): MemorySource => {
    const source = new MemorySource();
    source.image({ tars: [large], compression: "none" });
    let target: ImageTarget | undefined;
    const { manifest } = source;
    return Object.assign(source, {
      streamTo: (to: ImageTarget) => void (target = to),
      async manifest(this: MemorySource, reference?: string) {
        const stream = reference === undefined ? await target?.beginBlob?.() : undefined;
        const sent = await stream?.send(source.blob(wanted)).then(
          () => true,
          () => false,
        );
        if (sent === true) await stream?.keep(wanted);
        else await stream?.drop();
        return manifest.call(source, reference);
      },
    });
  };

  test.each([
    ["takes it", 201, 2],
    ["refuses bytes of unknown length", 411, 3],
  ])("a blob that is sent while it is made: a registry that %s", async (_, status, begun) => {
    await using registry = takes((request) =>
      request.method === "PUT" && request.url.includes("/manifests/")
        ? new Response(null, { status: 201 })
        : request.method === "PATCH" && request.headers.get("content-length") === null && status !== 201
          ? new Response(null, { status })
          : undefined,
    );
    await using target = await registries.target(parseReference(`127.0.0.1:${registry.server.port}/a/b`));
    const statuses: string[] = [];
    const onProgress = ({ status: now, blob: { size } }: CopyEvent): void => {
      if (size === large.length && now !== "copying") statuses.push(now);
    };
    await copyImage({ source: streaming(), target, tag: "1", jobs: 1, onProgress });
    expect([registry.begun, statuses]).toEqual([begun, ["waiting", "done"]]);
  });

  test("one that takes nothing of what it is sent is left after a while", async () => {
    using server = await RawServer.start(({ method }, socket) => {
      if (method === "POST") socket.end(head(202, { "Content-Length": 0, Location: "/up" }));
      else if (method === "PATCH") socket.pause();
      else socket.end(head(404, { "Content-Length": 0 }));
    });
    await using target = await registries.target(parseReference(`${server.host}/a/b`));
    const started = performance.now();
    const put = target.putBlob(
      { ...wanted, size: 2 ** 40 },
      {
        open: async function* () {
          for (;;) yield large;
        },
      },
    );
    expect((await failure(put)).code).toBe("timeout");
    expect(performance.now() - started).toBeLessThan(stallMs * retries.tries * 2);
  });
});
