/** gantry system dial-stdio: the engine's connection on standard input and output, for clients that come by ssh. */
import { connect } from "node:net";
import { connect as connectTls } from "node:tls";
import type { Duplex } from "node:stream";
import type { CommandSpec } from "../command.ts";
import type { Address } from "../connection/address.ts";
import { CliError } from "../errors.ts";

export const dialStdio: CommandSpec = {
  usage: "",
  summary: "Proxy the stdio stream to the engine's connection",
  about: "Docker's and Gantry's clients run it on the other machine for hosts like ssh://user@host.",
  flags: [],
  args: [0, 0],
  completes: "none",
  readsKeyboard: true,
  async run({ engine }) {
    // Starts the engine where it may; a proxied connection could not tell what is wrong.
    await engine.send("HEAD", "/_ping");
    await joined(dial(engine.address));
    return 0;
  },
};

function dial(address: Address): Duplex {
  if (address.is === "unix") return connect({ path: address.path, allowHalfOpen: true });
  const { host, port, tls } = address;
  if (tls === undefined) return connect({ host, port, allowHalfOpen: true });
  const { verify, ...pems } = tls;
  return connectTls({ host, port, rejectUnauthorized: verify, ...pems });
}

/** Resolves when the engine has ended the connection; the end of our input goes on to it. */
function joined(socket: Duplex): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.on("error", (error) =>
      reject(new CliError(`the connection to the engine broke: ${error.message}`)),
    );
    process.stdout.on("error", () => socket.destroy());
    socket.on("end", resolve);
    socket.on("close", resolve);
    process.stdin.pipe(socket);
    socket.pipe(process.stdout);
  });
}
