/** gantry run and gantry create. */
import type { CommandSpec } from "../command.ts";
import { createFlags, runOnlyFlags } from "../run/create-flags.ts";
import { createContainer, runContainer } from "../run/run-container.ts";

export const run: CommandSpec = {
  usage: "[OPTIONS] IMAGE [COMMAND] [ARG...]",
  summary: "Create and run a new container from an image",
  aliases: ["container run", "run"],
  examples: [
    ["gantry run --rm busybox echo hello", "one command, nothing left behind"],
    ["gantry run --rm -it busybox sh", "a shell (leave it running with ctrl-p ctrl-q)"],
    [
      "gantry run -d --name web -p 8080:80 -v /srv/www:/www:ro busybox httpd -f -h /www",
      "a server in the background, reachable on port 8080",
    ],
    ["gantry run --rm --memory 64m --cpus 0.5 --pids-limit 20 busybox true", "with limits"],
  ],
  flags: [...createFlags, ...runOnlyFlags].toSorted((a, b) => (a.name < b.name ? -1 : 1)),
  args: [1, Infinity],
  stopAtArgument: true,
  completes: "images",
  readsKeyboard: true,
  failure: 125,
  run: runContainer,
};

export const create: CommandSpec = {
  usage: "[OPTIONS] IMAGE [COMMAND] [ARG...]",
  summary: "Create a new container",
  aliases: ["container create", "create"],
  examples: [
    ["gantry create --name job busybox sleep 60 && gantry start -a job", "make it now, start it later"],
  ],
  flags: createFlags,
  args: [1, Infinity],
  stopAtArgument: true,
  completes: "images",
  failure: 125,
  run: createContainer,
};
