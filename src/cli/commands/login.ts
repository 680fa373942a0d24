/** gantry login and logout: credentials tried by the engine, kept where docker's client keeps them. */
import { type AuthConfig, DockerConfig, hostOf, hubServer } from "../../distribution/index.ts";
import type { CommandSpec, Invocation } from "../command.ts";
import { withCliErrors } from "../connection/credentials.ts";
import { CliError } from "../errors.ts";
import { print, printError } from "../output.ts";
import { accountFromTerminal, secretFromStdin } from "../read-secret.ts";

export const login: CommandSpec = {
  usage: "[OPTIONS] [SERVER]",
  summary: "Authenticate to a registry",
  about:
    "Without SERVER Docker Hub is meant. Credentials are kept in ~/.docker/config.json, or by the helper that it names.",
  examples: [
    ["gantry login registry.example.com", "asks for name and password"],
    ["gantry login -u ci --password-stdin registry.example.com < secret", "in a script"],
  ],
  flags: [
    {
      name: "password",
      short: "p",
      kind: "string",
      help: "Password or token (seen by whoever lists processes)",
    },
    { name: "password-stdin", kind: "bool", help: "Take the password from stdin" },
    { name: "username", short: "u", kind: "string", help: "Username" },
  ],
  args: [0, 1],
  completes: "none",
  readsKeyboard: true,
  async run(call) {
    const server = call.args[0] ?? "";
    const host = hostOf(server);
    const serveraddress = host === "docker.io" ? hubServer : host;
    const config = await withCliErrors(async () => new DockerConfig());
    const { auth, isKnown } = await account(call, config, host);
    const answer = await call.engine.json<{ Status?: string; IdentityToken?: string }>("POST", "/auth", {
      json: { ...auth, serveraddress },
    });
    const token = answer.IdentityToken ?? "";
    if (!isKnown) {
      const kept: AuthConfig = { ...auth, ...(token === "" ? {} : { identitytoken: token, password: "" }) };
      const path = await withCliErrors(() => config.store(host, kept));
      if (path !== undefined)
        await printError(
          `WARNING! Your credentials are stored unencrypted in '${path}'.\nA credential helper keeps them better: see docs/distribution.md\n`,
        );
    }
    await print(`${answer.Status ?? "Login Succeeded"}\n`);
    return 0;
  },
};

interface Account {
  readonly auth: AuthConfig;
  /** It is kept already. */
  readonly isKnown: boolean;
}

async function account({ flags }: Invocation, config: DockerConfig, host: string): Promise<Account> {
  const username = flags.text("username");
  const isGiven = flags.has("password");
  if (flags.bool("password-stdin")) {
    if (isGiven) throw new CliError("--password and --password-stdin are mutually exclusive", { bare: true });
    if (username === "") throw new CliError("Must provide --username with --password-stdin", { bare: true });
    return { auth: { username, password: await secretFromStdin() }, isKnown: false };
  }
  if (isGiven) {
    await printError("WARNING! Using --password via the CLI is insecure. Use --password-stdin.\n");
    if (username !== "") return { auth: { username, password: flags.text("password") }, isKnown: false };
  }
  const known = await withCliErrors(() => config.credentials(host));
  const isUsable = username === "" && !isGiven && Object.keys(known).length > 1;
  if (isUsable) {
    await print("Authenticating with existing credentials...\n");
    return { auth: known, isKnown: true };
  }
  return { auth: await accountFromTerminal(username), isKnown: false };
}

export const logout: CommandSpec = {
  usage: "[SERVER]",
  summary: "Log out from a registry",
  about: "Without SERVER Docker Hub is meant.",
  flags: [],
  args: [0, 1],
  completes: "none",
  async run({ args: [server = ""] }) {
    const host = hostOf(server);
    const shown = host === "docker.io" ? hubServer : host;
    const erased = await withCliErrors(() => new DockerConfig().erase(host));
    await print(erased ? `Removing login credentials for ${shown}\n` : `Not logged in to ${shown}\n`);
    return 0;
  },
};
