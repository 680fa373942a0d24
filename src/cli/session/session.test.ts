/** The whole program against an engine that plays one part; processes, sockets and a pty are real. */
import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { encodeFrame, encodeJsonFrame, FrameDecoder, frameType } from "../connection/frames.ts";

const folder = mkdtempSync(join(tmpdir(), "cli-session-"));
const socket = join(folder, "engine.sock");
const program = [
  process.execPath,
  "-e",
  `process.exitCode = await (await import(${JSON.stringify(join(import.meta.dir, "../main.ts"))})).main(process.argv.slice(1))`,
  "--",
];

interface Client {
  head: boolean;
  rest: Buffer;
  readonly frames: FrameDecoder;
}

const upgraded = Buffer.from("HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n");
const exit = (code: number): Uint8Array => encodeJsonFrame(frameType.exit, { StatusCode: code });
const created = encodeJsonFrame(frameType.created, { Id: "a".repeat(64), Warnings: [] });

/** What the engine answers to a RUN frame, by the image's name. */
const scripts: Readonly<Record<string, readonly Uint8Array[]>> = {
  hello: [created, encodeFrame(1, Buffer.from("out")), encodeFrame(2, Buffer.from("err")), exit(7)],
  missing: [
    encodeJsonFrame(frameType.error, { message: "No such image: missing", hint: "load it", exitCode: 125 }),
  ],
  nocommand: [created, encodeJsonFrame(frameType.error, { message: "nope: not found", exitCode: 127 })],
  vanishes: [created],
  echo: [created],
};

const server = Bun.listen<Client>({
  unix: socket,
  socket: {
    open: (s) => void (s.data = { head: false, rest: Buffer.alloc(0), frames: new FrameDecoder() }),
    data(s, bytes) {
      let stream: Buffer = bytes;
      if (!s.data.head) {
        s.data.rest = Buffer.concat([s.data.rest, bytes]);
        const end = s.data.rest.indexOf("\r\n\r\n");
        if (end < 0) return;
        s.data.head = true;
        stream = s.data.rest.subarray(end + 4);
        s.write(upgraded);
      }
      for (const { type, bytes: payload } of s.data.frames.push(stream)) answer(s, type, payload);
    },
  },
});
afterAll(() => {
  server.stop(true);
  rmSync(folder, { recursive: true });
});

function answer(s: Bun.Socket<Client>, type: number, payload: Uint8Array): void {
  if (type === frameType.run) {
    const { Body } = JSON.parse(Buffer.from(payload).toString()) as { Body: { Image: string } };
    s.write(Buffer.concat([...(scripts[Body.Image] ?? [])]));
    if (Body.Image === "vanishes") s.end();
  } else if (type === frameType.stdin) s.write(payload.length === 0 ? exit(3) : encodeFrame(1, payload));
  else if (type === frameType.signal) s.write(exit(100 + (payload[0] ?? 0)));
  else if (type === frameType.resize) s.write(encodeFrame(1, Buffer.from(`[${[...payload].join(" ")}]`)));
}

const command = (...words: string[]): string[] => [...program, "-H", `unix://${socket}`, ...words];

// The engine plays in this very process, so clients are awaited, never waited for.
async function run(
  words: readonly string[],
  stdin?: string,
): Promise<{ code: number; out: string; err: string }> {
  const child = Bun.spawn(command(...words), {
    stdin: stdin === undefined ? "ignore" : Buffer.from(stdin),
    stdout: "pipe",
    stderr: "pipe",
  });
  const [out, err, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  return { code, out, err };
}

test.each([
  [["run", "hello"], undefined, { code: 7, out: "out", err: "err" }],
  [["run", "-d", "echo"], undefined, { code: 0, out: `${"a".repeat(64)}\n`, err: "" }],
  [["run", "-i", "echo"], "typed", { code: 3, out: "typed", err: "" }],
  [
    ["run", "--pull", "never", "missing"],
    undefined,
    { code: 125, out: "", err: "gantry: No such image: missing\nhint: load it\n" },
  ],
  [["run", "nocommand"], undefined, { code: 127, out: "", err: "gantry: nope: not found\n" }],
] as const)("%j", async (words, stdin, want) => {
  expect(await run(words, stdin)).toEqual(want);
});

test("an engine that vanishes is reported", async () => {
  const { code, err } = await run(["run", "vanishes"]);
  expect(code).toBe(125);
  expect(err).toContain("closed the connection");
});

test("a signal is passed on, and its end is ours", async () => {
  const child = Bun.spawn(command("run", "echo"), { stdin: "ignore" });
  await Bun.sleep(150);
  child.kill("SIGTERM");
  expect(await child.exited).toBe(115);
});

test("on a terminal: raw keys, size, detach keys, and the terminal as it was", async () => {
  let seen = "";
  const child = Bun.spawn(
    ["sh", "-c", '"$@"; echo "code $?"; stty -a', "sh", ...command("run", "-it", "echo")],
    {
      terminal: { cols: 80, rows: 24, data: (_, bytes) => void (seen += Buffer.from(bytes).toString()) },
    },
  );
  const until = async (text: string): Promise<void> => {
    for (let i = 0; i < 200 && !seen.includes(text); i++) await Bun.sleep(10);
    expect(seen).toContain(text);
  };
  await Bun.sleep(200);
  child.terminal?.write("\x03x");
  await until("\x03x");
  child.terminal?.resize(100, 30);
  await until("[30 0 100 0]");
  child.terminal?.write("\x10\x11");
  await until("code 0");
  expect(await child.exited).toBe(0);
  await until(" icanon");
  child.terminal?.close();
});
