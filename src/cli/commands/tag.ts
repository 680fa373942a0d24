/** gantry tag. */
import type { CommandSpec } from "../command.ts";
import { imagePath } from "../connection/engine.ts";
import { splitReference } from "../format/reference.ts";

export const tag: CommandSpec = {
  usage: "SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]",
  summary: "Create a tag TARGET_IMAGE that refers to SOURCE_IMAGE",
  aliases: ["image tag", "tag"],
  flags: [],
  args: [2, 2],
  completes: "images",
  async run({ args: [source = "", target = ""], engine }) {
    const { repository, tag: name } = splitReference(target);
    await engine.send("POST", `/images/${imagePath(source)}/tag`, { query: { repo: repository, tag: name } });
    return 0;
  },
};
