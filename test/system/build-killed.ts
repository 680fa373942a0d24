/** A build that build.test.ts kills: says so when its RUN is running. Words: DIRECTORY */
import { BuildWorld } from "./build-world.ts";

const world = await BuildWorld.open(process.argv[2]);
const say = setInterval(() => {
  if (world.runner.requests.length > 0) console.log("in the middle");
}, 50);
await world.build(
  { f: "F", Dockerfile: "FROM busybox\nCOPY f /f\nRUN echo half > /g; sleep 30" },
  { tags: ["killed"] },
);
clearInterval(say);
