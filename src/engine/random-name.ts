/** Names for containers that get none: `adjective_noun`, as Docker does it. */

// Flat lists; short words that offend nobody and are quick to type.
const adjectives =
  "able agile amber azure bold brave bright brisk calm civil clear clever cosy crisp daring deft eager early easy elated fair fast fine firm fond frank free fresh gentle glad golden grand happy hardy honest humble jolly just keen kind lively loyal lucid lucky mellow merry mild modest neat nice noble patient placid plain polite prime proud quick quiet rapid ready regal robust rosy royal serene sharp shiny silent simple sleek smart smooth snug sober solid sound spry steady still sturdy sunny sure swift tender tidy tranquil true trusty upbeat vast vivid warm wise witty young zesty".split(
    " ",
  );
const nouns =
  "anchor anvil arch atlas badger barge basin beacon bison boom bridge brook buoy cabin canal capstan cargo cedar comet compass coral crane crate creek davit delta derrick dock dolphin dune eagle ember falcon fern ferry finch fjord forge galley gantry gear girder glade gull harbor hawk helm heron hoist hook hull ibis isle jetty kayak keel lagoon lantern lark lever lighthouse lock lynx mast meadow mole moor oak orca osprey otter pallet pier pilot pine plover pulley pylon quay rail raven reef ridge river rudder sail schooner seal shoal sloop sparrow spruce stork summit tern tide timber trawler truss tug valley walrus wharf willow winch yard".split(
    " ",
  );

/** A name that `taken` denies; a number is added when words alone do not do. */
export function randomName(taken: (name: string) => boolean, random: () => number = Math.random): string {
  const pick = (words: readonly string[]): string => words[Math.floor(random() * words.length)] ?? "";
  for (let attempt = 0; attempt < 8; attempt++) {
    const name = `${pick(adjectives)}_${pick(nouns)}`;
    if (!taken(name)) return name;
  }
  for (;;) {
    const name = `${pick(adjectives)}_${pick(nouns)}${Math.floor(random() * 1_000_000)}`;
    if (!taken(name)) return name;
  }
}
