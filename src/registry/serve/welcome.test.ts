import { expect, test } from "bun:test";
import { printWelcome, type Welcome } from "./welcome.ts";

const open: Welcome = {
  address: "http://127.0.0.1:5000",
  externalUrl: "",
  root: "/var/lib/gantry-registry",
  place: "",
  accounts: undefined,
  loopback: true,
  readOnly: undefined,
  upstreams: [],
};

test("who has started it reads where it is, who may do what, and what to type", () => {
  expect(printWelcome(open)).toBe(
    [
      "Registry at http://127.0.0.1:5000, its files in /var/lib/gantry-registry",
      "Everybody on this machine may pull, push and delete; to ask for logins: gantry registry user add --admin NAME, and start again",
      "Push:    docker tag IMAGE localhost:5000/NAME && docker push localhost:5000/NAME",
      "",
    ].join("\n"),
  );
  const world = { ...open, address: "https://[::]:443", loopback: false, accounts: 2 };
  expect(printWelcome(world)).toContain("Log in:  docker login THIS-HOST:443\n");
  expect(printWelcome({ ...world, externalUrl: "https://registry.example" })).toContain(
    "docker login registry.example\n",
  );
  expect(printWelcome({ ...world, accounts: 0, root: "/srv/r", place: " --root /srv/r" })).toContain(
    "Nobody may come in yet: gantry registry user add --admin NAME --root /srv/r\n",
  );
  const mirror = printWelcome({ ...open, readOnly: "moving", upstreams: ["hub=docker.io", "=quay.io"] });
  expect(mirror).toContain("Mirror:  localhost:5000/hub/NAME is NAME of docker.io\n");
  expect(mirror).toContain("Mirror:  localhost:5000/NAME is NAME of quay.io\n");
  expect(mirror).toContain("Nothing is pushed or deleted for now: moving\n");
});
