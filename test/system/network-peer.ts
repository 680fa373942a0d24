/**
 * What runs inside the network namespaces of network.test.ts: servers that say who they are and who asked, and clients that
 * print what they were answered. Words: serve NAME PORT | tcp IP PORT | udp IP PORT | dns-udp IP NAME TYPE | dns-tcp IP NAME TYPE
 */
import { decode, encode, type RecordType } from "dns-packet";

const [word = "", ...rest] = process.argv.slice(2);
const patienceMs = 1500;

async function serve(name: string, port: number): Promise<void> {
  Bun.listen({
    hostname: "0.0.0.0",
    port,
    socket: { open: (socket) => void socket.end(`tcp ${name} saw ${socket.remoteAddress}\n`), data() {} },
  });
  await Bun.udpSocket({
    hostname: "0.0.0.0",
    port,
    socket: {
      data: (socket, _bytes, from, address) =>
        void socket.send(`udp ${name} saw ${address}\n`, from, address),
    },
  });
  console.log("ready");
}

function askTcp(hostname: string, port: number): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  let text = "";
  setTimeout(() => resolve("timeout"), patienceMs);
  Bun.connect({
    hostname,
    port,
    socket: {
      data: (_socket, bytes) => void (text += Buffer.from(bytes).toString()),
      close: () => resolve(text.trim()),
    },
  }).catch((error: unknown) =>
    resolve(String(error instanceof Error && "code" in error ? error.code : error)),
  );
  return promise;
}

async function askUdp(hostname: string, port: number): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  setTimeout(() => resolve("timeout"), patienceMs);
  const socket = await Bun.udpSocket({
    connect: { hostname, port },
    socket: {
      data: (_socket, bytes) => resolve(Buffer.from(bytes).toString().trim()),
      error: () => resolve("refused"),
    },
  });
  socket.send("who");
  return await promise;
}

function readAnswer(bytes: Uint8Array): string {
  const { flags = 0, answers = [] } = decode(Buffer.from(bytes));
  return `${flags & 15} ${answers.map((answer) => ("data" in answer ? String(answer.data) : answer.type)).join(" ")}`.trim();
}

function question(name: string, type: RecordType): Buffer {
  return encode({ type: "query", id: 4711, flags: 0x100, questions: [{ name, type }] });
}

async function askDnsUdp(hostname: string, name: string, type: RecordType): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  setTimeout(() => resolve("timeout"), patienceMs);
  const socket = await Bun.udpSocket({
    connect: { hostname, port: 53 },
    socket: { data: (_socket, bytes) => resolve(readAnswer(bytes)), error: () => resolve("refused") },
  });
  socket.send(question(name, type));
  return await promise;
}

function askDnsTcp(hostname: string, name: string, type: RecordType): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  setTimeout(() => resolve("timeout"), patienceMs);
  const message = question(name, type);
  Bun.connect({
    hostname,
    port: 53,
    socket: {
      open: (socket) =>
        void socket.write(Buffer.concat([Buffer.from([message.length >> 8, message.length & 255]), message])),
      data: (_socket, bytes) => resolve(readAnswer(bytes.subarray(2))),
      close: () => resolve("closed"),
    },
  }).catch((error: unknown) =>
    resolve(String(error instanceof Error && "code" in error ? error.code : error)),
  );
  return promise;
}

const [first = "", second = "", third = "A"] = rest;
const type = third === "AAAA" || third === "PTR" ? third : "A";
const answers: Readonly<Record<string, () => Promise<string>>> = {
  tcp: () => askTcp(first, Number(second)),
  udp: () => askUdp(first, Number(second)),
  "dns-udp": () => askDnsUdp(first, second, type),
  "dns-tcp": () => askDnsTcp(first, second, type),
};
if (word === "serve") await serve(first, Number(second));
else {
  console.log(await answers[word]?.());
  process.exit(0);
}
