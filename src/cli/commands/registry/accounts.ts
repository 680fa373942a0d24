/** gantry registry user …, robot …, grant, revoke, rights, public …: who may do what. */
import { type Action, hashPassword, newRobotSecret, parsePeriod } from "../../../registry/index.ts";
import type { CommandSpec, Invocation } from "../../command.ts";
import { CliError } from "../../errors.ts";
import type { Flag } from "../../flags/flag.ts";
import { goTime } from "../../format/human.ts";
import { print, printError } from "../../output.ts";
import { newSecretFromTerminal, secretFromStdin } from "../../read-secret.ts";
import { listFormat } from "../list-flags.ts";
import { asCli, doing, placeFlags, printRows, quiet, withAdmin } from "./with-admin.ts";

const passwordStdin: Flag = { name: "password-stdin", kind: "bool", help: "Take the password from stdin" };

const readPassword = async ({ flags }: Invocation): Promise<string> =>
  hashPassword(await (flags.bool("password-stdin") ? secretFromStdin() : newSecretFromTerminal("Password")));

export const addUser = doing(
  {
    usage: "[OPTIONS] NAME",
    summary: "Add a user",
    about: "Asks for the password, of which only an argon2id hash is kept. An admin may do everything.",
    examples: [
      ["gantry registry user add --admin root", "the first account: from now on the registry asks who comes"],
      ["echo secret | gantry registry user add --password-stdin alice", "in a script"],
    ],
    flags: [{ name: "admin", kind: "bool", help: "May do everything in every repository" }, passwordStdin],
    args: [1, 1],
    readsKeyboard: true,
  },
  async (admin, call) => {
    const [name = ""] = call.args;
    if ((await admin.accounts.get(name)) !== undefined)
      throw new CliError(`there is an account ${name} already`);
    const secret = await readPassword(call);
    await admin.accounts.add({ name, kind: "user", admin: call.flags.bool("admin"), secret });
    await admin.note("user add", name);
    return name;
  },
);

export const passwd = doing(
  {
    usage: "[OPTIONS] NAME",
    summary: "Give a user a new password",
    about: "All tokens and logins of the user end.",
    flags: [passwordStdin],
    args: [1, 1],
    readsKeyboard: true,
  },
  async (admin, call) => {
    const [name = ""] = call.args;
    const account = await admin.accounts.get(name);
    if (account?.kind !== "user") throw new CliError(`there is no user ${name}`);
    await admin.accounts.setSecret(name, await readPassword(call));
    await admin.note("user passwd", name);
    return name;
  },
);

const switching = (word: "enable" | "disable", summary: string): CommandSpec =>
  doing({ usage: "ACCOUNT", summary, args: [1, 1] }, async (admin, { args: [name = ""] }) => {
    await admin.accounts.setDisabled(name, word === "disable");
    await admin.note(`account ${word}`, name);
    return name;
  });

export const enable = switching("enable", "Let an account in again");
export const disable = switching("disable", "Keep an account out; its logins end at once");

const removing = (kind: "user" | "robot"): CommandSpec =>
  doing(
    {
      usage: `NAME [NAME...]`,
      summary: `Remove ${kind}s, their rights and logins`,
      args: [1, Infinity],
    },
    async (admin, { args }) => {
      for (const name of args) {
        if ((await admin.accounts.get(name))?.kind !== kind)
          throw new CliError(`there is no ${kind} ${name}`);
        await admin.accounts.remove(name);
        await admin.note(`${kind} rm`, name);
      }
      return args.join("\n");
    },
  );

export const removeUser = removing("user");
export const removeRobot = removing("robot");

const time = (ms: number | undefined): string => (ms === undefined ? "never" : goTime(ms));

export const listUsers: CommandSpec = {
  usage: "[OPTIONS]",
  summary: "List users",
  flags: [listFormat, quiet, ...placeFlags],
  args: [0, 0],
  async run(call) {
    const users = await withAdmin(call, ({ accounts }) => accounts.list("user"));
    await printRows(
      call,
      { Name: "NAME", Admin: "ADMIN", Status: "STATUS", Created: "CREATED" },
      users.map((user) => ({
        Name: user.name,
        Admin: user.admin,
        Status: user.disabled ? "disabled" : "enabled",
        Created: goTime(user.createdMs),
      })),
    );
    return 0;
  },
};

const rightsHelp: Flag = {
  name: "grant",
  kind: "list",
  help: "A right to begin with: PATTERN:ACTIONS (team/*:pull,push)",
};

export const addRobot = doing(
  {
    usage: "[OPTIONS] NAME",
    summary: "Add a robot, and print its secret once",
    about: "A robot is an account for programs: its secret is made here and never shown again.",
    examples: [
      [
        "gantry registry robot add --expires 90d --grant 'team/*:pull,push' ci",
        "for a build server, for a quarter",
      ],
    ],
    flags: [
      { name: "expires", kind: "string", help: "How long its secret is good (30d, 12h); for ever without" },
      rightsHelp,
    ],
    args: [1, 1],
  },
  async (admin, { args: [name = ""], flags }) => {
    const rights = flags.list("grant").map(parseRight);
    const expiresMs = flags.has("expires")
      ? Date.now() + (await asCli(async () => parsePeriod(flags.text("expires"))))
      : undefined;
    const { secret, stored } = newRobotSecret();
    await admin.accounts.add({ name, kind: "robot", admin: false, secret: stored, expiresMs });
    for (const { pattern, actions } of rights) await admin.accounts.grant(name, pattern, actions);
    await admin.note("robot add", name);
    await printError(`The secret of ${name}, which is not shown again:\n`);
    return secret;
  },
);

export const listRobots: CommandSpec = {
  usage: "[OPTIONS]",
  summary: "List robots",
  flags: [listFormat, quiet, ...placeFlags],
  args: [0, 0],
  async run(call) {
    const robots = await withAdmin(call, ({ accounts }) => accounts.list("robot"));
    const now = Date.now();
    await printRows(
      call,
      { Name: "NAME", Status: "STATUS", Expires: "EXPIRES", Created: "CREATED" },
      robots.map((robot) => ({
        Name: robot.name,
        Status: robot.disabled ? "disabled" : now >= (robot.expiresMs ?? Infinity) ? "expired" : "enabled",
        Expires: time(robot.expiresMs),
        Created: goTime(robot.createdMs),
      })),
    );
    return 0;
  },
};

const actionNames: readonly Action[] = ["pull", "push", "delete"];

function parseActions(text: string): readonly Action[] {
  const words = text.split(",");
  const wrong = words.find((word) => !actionNames.some((name) => name === word));
  if (wrong !== undefined)
    throw new CliError(`there is no action ${JSON.stringify(wrong)}`, {
      hint: "there are pull, push and delete",
    });
  return actionNames.filter((name) => words.includes(name));
}

function parseRight(text: string): { readonly pattern: string; readonly actions: readonly Action[] } {
  const at = text.lastIndexOf(":");
  if (at <= 0) throw new CliError(`${JSON.stringify(text)} is no PATTERN:ACTIONS`);
  return { pattern: text.slice(0, at), actions: parseActions(text.slice(at + 1)) };
}

export const grant = doing(
  {
    usage: "ACCOUNT PATTERN ACTIONS",
    summary: "Let an account do something in repositories",
    about:
      "PATTERN: * is anything within one component of a name, ** anything at all. ACTIONS: pull, push, delete, with\ncommas between. Running tokens hold what they were made with for five minutes at most.",
    examples: [
      ["gantry registry grant alice 'team/*' pull,push", "alice works on team's repositories"],
      ["gantry registry grant ci '**' pull", "ci reads everything"],
    ],
    args: [3, 3],
  },
  async (admin, { args: [name = "", pattern = "", actions = ""] }) => {
    await admin.accounts.grant(name, pattern, parseActions(actions));
    await admin.note("grant", `${name} ${pattern} ${actions}`);
    return "";
  },
);

export const revoke = doing(
  { usage: "ACCOUNT PATTERN", summary: "Take a right away", args: [2, 2] },
  async (admin, { args: [name = "", pattern = ""] }) => {
    await admin.accounts.revoke(name, pattern);
    await admin.note("revoke", `${name} ${pattern}`);
    return "";
  },
);

export const rights: CommandSpec = {
  usage: "[OPTIONS] [ACCOUNT]",
  summary: "List rights",
  flags: [listFormat, quiet, ...placeFlags],
  args: [0, 1],
  async run(call) {
    const [only] = call.args;
    const accounts = await withAdmin(call, async ({ accounts: all }) => [
      ...(await all.list("user")),
      ...(await all.list("robot")),
    ]);
    const rows = accounts
      .filter(({ name }) => only === undefined || name === only)
      .flatMap((account) => [
        ...(account.admin ? [{ Account: account.name, Pattern: "**", Actions: "everything" }] : []),
        ...account.rights.map(({ pattern, actions }) => ({
          Account: account.name,
          Pattern: pattern,
          Actions: actions.join(","),
        })),
      ]);
    await printRows(call, { Account: "ACCOUNT", Pattern: "PATTERN", Actions: "ACTIONS" }, rows);
    return 0;
  },
};

export const addPublic = doing(
  {
    usage: "PATTERN",
    summary: "Let everybody pull from repositories, without a login",
    examples: [["gantry registry public add 'base/*'", "base images for all"]],
    args: [1, 1],
  },
  async (admin, { args: [pattern = ""] }) => {
    await admin.accounts.addPublic(pattern);
    await admin.note("public add", pattern);
    return "";
  },
);

export const removePublic = doing(
  { usage: "PATTERN", summary: "Ask for a login again", args: [1, 1] },
  async (admin, { args: [pattern = ""] }) => {
    await admin.accounts.removePublic(pattern);
    await admin.note("public rm", pattern);
    return "";
  },
);

export const listPublic: CommandSpec = {
  usage: "[OPTIONS]",
  summary: "List patterns of public repositories",
  flags: placeFlags,
  args: [0, 0],
  async run(call) {
    const patterns = await withAdmin(call, ({ accounts }) => accounts.listPublic());
    await print(patterns.map((pattern) => `${pattern}\n`).join(""));
    return 0;
  },
};

export const rotateKey = doing(
  {
    usage: "[OPTIONS]",
    summary: "Sign tokens with a new key",
    about:
      "All instances sign with it within ten seconds. The key before verifies until the tokens that it has signed are over,\nafter six minutes; clients notice nothing. With --revoke they all end at once, where somebody may have seen the key:\nclients get new ones with what they have kept.",
    examples: [["gantry registry key rotate", "once a year, or as your rules say"]],
    flags: [{ name: "revoke", kind: "bool", help: "The old keys verify nothing from now on" }],
    args: [0, 0],
  },
  async (admin, { flags }) => {
    const id = await admin.rotateKey(flags.bool("revoke"));
    await admin.note("key rotate", id);
    return id;
  },
);

export const listKeys: CommandSpec = {
  usage: "[OPTIONS]",
  summary: "List the keys that sign tokens",
  flags: [listFormat, quiet, ...placeFlags],
  args: [0, 0],
  async run(call) {
    const keys = await withAdmin(call, (admin) => admin.signingKeys());
    await printRows(
      call,
      { Key: "KEY", Created: "CREATED", Until: "VERIFIES UNTIL" },
      keys.map(({ id, createdMs, endsMs }) => ({
        Key: id,
        Created: goTime(createdMs),
        Until: endsMs === undefined ? "it signs" : goTime(endsMs),
      })),
    );
    return 0;
  },
};
