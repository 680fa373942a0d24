/** Where a key stands in a text of YAML or JSON, for messages. Pure. */

/**
 * The line of a key of the outermost map; 1 when it cannot be told (a map on one line, a key in odd quotes).
 * In YAML such a key begins its line; in JSON it is in quotes, at the depth of one brace.
 */
export function lineOfKey(text: string, key: string): number {
  if (text.trimStart().startsWith("{")) return lineInJson(text, key);
  const lines = text.split("\n");
  const at = lines.findIndex((line) => {
    const name = /^(?:"([^"]*)"|'([^']*)'|([^\s#'":][^:#]*?))\s*:(?:\s|$)/.exec(line);
    return name !== null && (name[1] ?? name[2] ?? name[3]) === key;
  });
  return Math.max(0, at) + 1;
}

function lineInJson(text: string, key: string): number {
  let depth = 0;
  let line = 1;
  for (const [token] of text.matchAll(/"(?:[^"\\]|\\.)*"(?:\s*:)?|[{}[\]\n]/g)) {
    if (token === "\n") line++;
    else if (token === "{" || token === "[") depth++;
    else if (token === "}" || token === "]") depth--;
    else if (depth === 1 && token.endsWith(":") && token.slice(0, -1).trimEnd() === JSON.stringify(key))
      return line;
    else line += token.split("\n").length - 1;
  }
  return 1;
}
